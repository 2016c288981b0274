"""The command line ``dmm``: runs one of the commands listed here, importing only its code.

Results go to standard output, progress and errors to standard error. The exit code is 0 for
success, 1 for a failure reported in one line, 2 for wrong usage.
"""

import difflib
import inspect
import sys
import warnings
from collections.abc import Callable
from importlib import import_module

import typer

from .errors import DmmError

COMMANDS = {
    "demo": (
        "dmm.commands.demo:demo",
        "Dataset, training, clips and report in minutes, on a CPU.",
    ),
    "doctor": ("dmm.commands.doctor:doctor", "Check this machine, and how to fix what is missing."),
    "setup": ("dmm.commands.training:setup", "Clone the training engine sd-scripts and check it."),
    "encode": ("dmm.commands.codec:encode", "Turn audio files into mel images."),
    "decode": ("dmm.commands.codec:decode", "Turn mel images into audio files."),
    "data": ("dataset_tools.cli:app", "Build and inspect datasets."),
    "train": ("dmm.commands.training:train", "Train a LoRA on a dataset."),
    "ablate": ("dmm.commands.ablation:ablate", "Train presets with several seeds, compare them."),
    "generate": ("dmm.commands.generation:generate", "Generate clips from prompts."),
    "stitch": ("dmm.commands.songs:stitch", "Join clips to one song."),
    "song": ("dmm.commands.songs:song", "Generate a song of any length, or a loop."),
    "ui": ("dmm.commands.ui:ui", "Open a page in the browser: prompts, clips, a timeline."),
    "web": ("dmm.commands.web:web", "The player: your model makes music in a browser tab."),
    "fuse": ("dmm.commands.fusing:fuse", "Merge LoRAs into their base model."),
    "unfuse": ("dmm.commands.fusing:unfuse", "Extract a LoRA from two checkpoints."),
    "distill": (
        "dmm.commands.distillation:app",
        "Small students of a model that need few steps.",
    ),
    "export": ("dmm.commands.exporting:export", "A checkpoint as ONNX: for browsers and phones."),
    "eval": ("eval.cli:app", "Score clips against a dataset."),
    "bench": ("bench.cli:app", "Test models on music whose properties are known."),
    "pretrain": ("dmm.commands.training:pretrain", "Train a small base model from scratch."),
}
"""Command name to ``module:attribute`` and a line of help."""

INTERRUPTED = 130
"""Exit code of typer after ctrl-C."""
USAGE = "Usage: dmm COMMAND [ARGUMENTS]...   (dmm COMMAND --help explains a command)"


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command in this process; returns its exit code."""
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h"):
        print(overview())
        return 0
    if name in ("--version", "-V"):
        from importlib.metadata import version

        print(f"dmm {version('diffusion-minimidi')}")
        return 0
    if name not in COMMANDS:
        nearest = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        print(f"{USAGE}\nerror: no command {name!r}{hint}", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", "CUDA is not available")  # from every import of diffusers
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
    """Usage and one line for each command."""
    lines = [f"  {name:<10}{summary}" for name, (_, summary) in COMMANDS.items()]
    about = "Train your own music model: mel images, an SDXL LoRA, sound."
    return "\n".join([USAGE, "", about, "", *lines])


def load(name: str) -> typer.Typer:
    """Import a command; a plain function becomes an application of its own."""
    module, attribute = COMMANDS[name][0].split(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return found
    app = typer.Typer(add_completion=False)
    add_command(app, found)
    return app


def add_command(app: typer.Typer, function: Callable[..., object], name: str | None = None) -> None:
    """Add a function as a command: its docstring is the help, which ends in the example.

    The docstring's last paragraph begins with ``Example:``. Options are grouped by their
    ``rich_help_panel``.
    """
    about, _, example = inspect.cleandoc(function.__doc__ or "").rpartition("\n\nExample: ")
    paragraphs = (" ".join(paragraph.split()) for paragraph in about.split("\n\n"))
    last = f"Example: {' '.join(example.split())}"
    app.command(name, help="\n\n".join(paragraphs), epilog=last)(function)
