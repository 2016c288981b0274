"""The command line ``dmm``: names of commands here, the code of the chosen one imported only then.

Results go to standard output, progress and errors to standard error. Exit code 0 is success, 1 a
failure told in one line, 2 wrong usage.
"""

import difflib
import sys
import warnings
from importlib import import_module

import typer

from .errors import DmmError

COMMANDS = {
    "demo": (
        "dmm.commands.demo:demo",
        "Everything below in minutes, on a CPU, ending in a report.",
    ),
    "doctor": ("dmm.commands.doctor:doctor", "What this machine has, lacks, and how to mend it."),
    "setup": ("dmm.commands.training:setup", "Clone the training engine sd-scripts and check it."),
    "encode": ("dmm.commands.codec:encode", "Sound files to mel images."),
    "decode": ("dmm.commands.codec:decode", "Mel images to sound."),
    "data": ("dataset_tools.cli:app", "Build and look at datasets."),
    "train": ("dmm.commands.training:train", "Train a LoRA on a dataset."),
    "ablate": ("dmm.commands.ablation:ablate", "Train presets under several seeds, compare them."),
    "generate": ("dmm.commands.generation:app", "Make clips from prompts."),
    "stitch": ("dmm.commands.song:stitch", "Join finished clips to one long piece."),
    "song": ("dmm.commands.song:song", "Make a long piece, or a loop, from prompts."),
    "ui": ("dmm.commands.ui:ui", "A page in the browser: prompts, clips, a timeline."),
    "fuse": ("dmm.commands.fusing:fuse", "Add LoRAs to their base: one checkpoint."),
    "unfuse": ("dmm.commands.fusing:unfuse", "Extract a LoRA from two checkpoints."),
    "eval": ("eval.cli:app", "Score clips against a dataset."),
    "bench": ("bench.cli:app", "Hold a model against music whose truth is known."),
    "pretrain": ("dmm.commands.training:pretrain", "Train a small base model from scratch."),
}
"""Command name: where it is, and its line of help."""


INTERRUPTED = 130
"""The code with which typer ends on ctrl-C."""
USAGE = "Usage: dmm COMMAND [ARGUMENTS]...   (dmm COMMAND --help says more)"


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command in this process; returns its exit code."""
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h"):
        print(overview())
        return 0
    if name not in COMMANDS:
        nearest = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        print(f"{USAGE}\nerror: no command {name!r}{hint}", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", "CUDA is not available")  # of diffusers, on every import
    try:
        load(name)(arguments[1:], prog_name=f"dmm {name}")
    except DmmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("interrupted; run the same command again to go on", file=sys.stderr)
            return 1
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def overview() -> str:
    """Usage and one line for every command."""
    lines = [f"  {name:<10}{summary}" for name, (_, summary) in COMMANDS.items()]
    about = "Train your own music model: mel images, an SDXL LoRA, sound."
    return "\n".join([USAGE, "", about, "", *lines])


def load(name: str) -> typer.Typer:
    """Import a command; a plain function becomes an application of its own."""
    module, attribute = COMMANDS[name][0].split(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return found
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(found)
    return app
