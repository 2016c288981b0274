"""The trainer's process: its settings, the training, and how that ended."""

import argparse
import errno
import sys
from pathlib import Path
from typing import Any

import sdxl_train_network
import torch
from library import train_util

from dmm.checkpoints.architecture import read_architecture
from dmm.errors import DmmError

from .finite import KEPT
from .options import add_options
from .outcome import write_outcome
from .trainer import TRAINERS
from .training_run import Course

OUT_OF_MEMORY = (
    "out of memory: lower train_batch_size and raise gradient_accumulation_steps, set "
    "gradient_checkpointing, or take a preset for a smaller card"
)
FULL_DISK = f"the disk is full; {KEPT}: make room and go on with --resume"
CODES = {"failed": 1, "interrupted": 130}
"""With what the process ends; 0 for any other status."""


def main() -> None:
    """Train as the engine's own script does."""
    parser = setup_parser()
    args = parser.parse_args()
    train_util.verify_command_line_training_args(args)
    args = train_util.read_config_from_file(args, parser)
    architecture = read_architecture(Path(args.pretrained_model_name_or_path))
    sys.exit(run(TRAINERS[architecture.kind](), args))


def setup_parser() -> argparse.ArgumentParser:
    """The engine's parser with our options."""
    parser = sdxl_train_network.setup_parser()
    add_options(parser)
    return parser


def run(trainer: Any, args: argparse.Namespace) -> int:
    """Train, and leave ``outcome.json`` in any case; returns the exit code."""
    ended: dict[str, Any] = {"status": "failed", "reason": None}
    try:
        trainer.train(args)
        ended = {}
    except KeyboardInterrupt:
        ended = {"status": "interrupted", "reason": "interrupted"}
    except torch.OutOfMemoryError as error:
        ended["reason"] = f"{OUT_OF_MEMORY} ({str(error).splitlines()[0]})"
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        ended["reason"] = FULL_DISK
    except (SystemExit, DmmError) as error:
        ended["reason"] = str(error)
    finally:
        course: Course | None = getattr(trainer, "course", None)
        if course:
            course.stopping.listen_no_more()
        facts = (course.outcome() if course else {}) | ended
        try:
            write_outcome(Path(args.output_dir), facts)
        except DmmError as error:  # a full disk: the launcher has to be told here
            print(f"\n{facts['reason'] or error}", file=sys.stderr)
    return CODES.get(ended.get("status", ""), 0)
