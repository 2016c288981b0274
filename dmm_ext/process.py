"""The trainer's process: parse settings, train, record how it ended, choose the exit code."""

import argparse
import errno
import signal
import sys
from pathlib import Path
from typing import Any

import sdxl_train_network
import torch
from library import train_util

from dmm.checkpoints.architecture import read_architecture
from dmm.errors import DmmError

from .finite import SAVED_IS_INTACT
from .options import add_options
from .outcome import write_outcome
from .trainer import TRAINERS
from .training_run import TrainingRun

OUT_OF_MEMORY = (
    "out of memory: lower train_batch_size and raise gradient_accumulation_steps, set "
    "gradient_checkpointing, or take a preset for a smaller card"
)
FULL_DISK = f"the disk is full; {SAVED_IS_INTACT}: make room and continue with --resume"
EXIT_CODES = {"failed": 1, "interrupted": 130}
"""By status; 0 for any other one."""


def main() -> int:
    """Read the configuration and train, as the engine's own script does; returns the exit code."""
    parser = setup_parser()
    args = parser.parse_args()
    train_util.verify_command_line_training_args(args)
    args = train_util.read_config_from_file(args, parser)
    architecture = read_architecture(Path(args.pretrained_model_name_or_path))
    code = train_and_record(TRAINERS[architecture.kind](), args)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # leaving takes a second, in which nothing is lost
    return code


def setup_parser() -> argparse.ArgumentParser:
    """The engine's parser with our options."""
    parser = sdxl_train_network.setup_parser()
    add_options(parser)
    return parser


def train_and_record(trainer: Any, args: argparse.Namespace) -> int:
    """Train and write ``outcome.json``, however it ends; returns the exit code."""
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
        training_run: TrainingRun | None = getattr(trainer, "training_run", None)
        if training_run:
            training_run.stopping.ignore_signals()
        outcome = (training_run.outcome() if training_run else {}) | ended
        try:
            write_outcome(Path(args.output_dir), outcome)
        except DmmError as error:  # a full disk: there is no file to hold the reason
            print(f"\n{outcome['reason'] or error}", file=sys.stderr)
        if training_run:
            training_run.stopping.restore_signals()
    return EXIT_CODES.get(ended.get("status", ""), 0)
