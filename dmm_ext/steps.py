"""True step numbers, also after a resume.

The engine's own counter starts again at 0 when it resumes and its state file cannot be trusted
after that. Ours is saved within each state; on resume the loop is given just the steps that are
left, and every name, log line and metadata field gets the true number.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from library import train_util

FILE = "dmm_state.json"


class Steps:
    """The count of optimizer steps over the whole training."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.total: int = args.max_train_steps
        self.restored = 0
        self.since = 0

    @property
    def done(self) -> int:
        """Optimizer steps begun, those before the resume included."""
        return self.restored + self.since

    def watch(self, accelerator: Any) -> None:
        """Save the count with every state, and restore it before a state is loaded."""
        accelerator.register_save_state_pre_hook(self._save)
        accelerator.register_load_state_pre_hook(self._load)

    def _save(self, _models: Any, _weights: Any, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / FILE).write_text(json.dumps({"step": self.done, "total": self.total}))

    def _load(self, _models: Any, folder: str) -> None:
        self.restored = step_of_state(Path(folder))
        if self.restored >= self.total:
            raise SystemExit(
                f"{folder}: the state is at step {self.restored} and max_train_steps is "
                f"{self.total}: nothing is left to train; raise max_train_steps"
            )
        self.args.max_train_steps = self.total - self.restored
        self.args.initial_step = 0  # count what is left from zero; names below add what was done

    def use_in_names(self, state_folder: Path) -> None:
        """Make the engine name checkpoints and states by the true step, states in their folder."""
        name_of = train_util.get_step_ckpt_name

        def checkpoint_name(args: argparse.Namespace, ext: str, step: int) -> str:
            return name_of(args, ext, step + self.restored)

        def save_state(args: argparse.Namespace, accelerator: Any, step: int) -> None:
            accelerator.save_state(str(state_folder / f"step-{step + self.restored:06d}"))
            keep_newest(state_folder, args.save_last_n_steps_state)

        def save_last_state(args: argparse.Namespace, accelerator: Any) -> None:
            save_state(args, accelerator, self.since)

        train_util.get_step_ckpt_name = checkpoint_name
        train_util.save_and_remove_state_stepwise = save_state
        train_util.save_state_on_train_end = save_last_state

    def correct(self, metadata: dict[str, str]) -> None:
        """Put the true counts into a LoRA's metadata."""
        metadata["ss_steps"] = str(int(metadata.get("ss_steps", 0)) + self.restored)
        metadata["ss_max_train_steps"] = str(self.total)


def step_of_state(folder: Path) -> int:
    """Optimizer steps behind a saved state, ours or a stock one."""
    if (folder / FILE).is_file():
        return json.loads((folder / FILE).read_text())["step"]
    scheduler = torch.load(folder / "scheduler.bin", weights_only=True)
    return int(scheduler["last_epoch"])


def keep_newest(folder: Path, count: int | None) -> None:
    """Delete all but the newest ``count`` states; None keeps all."""
    for old in sorted(folder.glob("step-*"))[: -count or None] if count else []:
        shutil.rmtree(old)
