"""The command line ``dmm``: runs one of the commands listed here, importing only its code.

Results go to standard output, progress and errors to standard error. The exit code is 0 for
success, 1 for a failure reported in one line, 2 for wrong usage, 70 for a fault of ours.
"""

import difflib
import inspect
import os
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer

from .errors import DmmError
from .files.os_errors import os_error_line
from .option_bounds import add_option_checks
from .terminal import printable

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
PIPE_CLOSED = 141
"""Exit code when the reader of standard output has ended: 128 and SIGPIPE."""
UsageError: Any = typer.BadParameter.__base__
"""typer exports only this subclass of it."""
USAGE = "Usage: dmm COMMAND [ARGUMENTS]...   (dmm COMMAND --help explains a command)"


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has ended, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = PIPE_CLOSED
    sys.exit(code)


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
        print(f"{USAGE}\nerror: no command {printable(repr(name))}{hint}", file=sys.stderr)
        return 2
    warnings.filterwarnings("ignore", "CUDA is not available")  # from every import of diffusers
    try:
        code = load_command(name)(arguments[1:], prog_name=f"dmm {name}", standalone_mode=False)
        return report_interruption() if code == INTERRUPTED else code or 0
    except UsageError as error:
        return _report_usage_error(error)
    except DmmError as error:
        return _report_error(str(error))
    except KeyboardInterrupt:
        return report_interruption()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _report_error(os_error_line(error))
    except Exception as error:  # nothing expected it
        from .crash import EXIT_CODE, report_crash

        print(f"error: {printable(report_crash(error, name))}", file=sys.stderr)
        return EXIT_CODE


def _report_usage_error(error: Any) -> int:
    """Print wrong usage in one line, unless help was shown instead; returns the exit code."""
    if type(error).__name__ != "NoArgsIsHelpError":
        hint = f" ({error.ctx.command_path} --help explains it)" if error.ctx else ""
        _report_error(" ".join(error.format_message().split()) + hint)
    return error.exit_code


def _report_error(line: str) -> int:
    """Print an error in one line; returns the exit code."""
    print(f"error: {printable(line)}", file=sys.stderr)
    return 1


def report_interruption() -> int:
    """Print how to continue after ctrl-C; returns the exit code."""
    print("interrupted; run the same command again to go on", file=sys.stderr)
    return 1


def overview() -> str:
    """Usage and one line for each command."""
    lines = [f"  {name:<10}{summary}" for name, (_, summary) in COMMANDS.items()]
    about = "Train your own music model: mel images, an SDXL LoRA, sound."
    return "\n".join([USAGE, "", about, "", *lines])


def load_command(name: str) -> Callable[..., Any]:
    """Import a command as a click command that checks its options (``dmm.option_bounds``)."""
    module, attribute = COMMANDS[name][0].split(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False)
        add_command(app, found)
        found = app
    return add_option_checks(typer.main.get_command(found))


def add_command(app: typer.Typer, function: Callable[..., object], name: str | None = None) -> None:
    """Add a function as a command: its docstring is the help, which ends in the example.

    The docstring's last paragraph begins with ``Example:``. Options are grouped by their
    ``rich_help_panel``.
    """
    about, _, example = inspect.cleandoc(function.__doc__ or "").rpartition("\n\nExample: ")
    paragraphs = (" ".join(paragraph.split()) for paragraph in about.split("\n\n"))
    last = f"Example: {' '.join(example.split())}"
    app.command(name, help="\n\n".join(paragraphs), epilog=last)(function)
