"""LoRA files: which weights they hold, and the metadata that generation needs.

The engine's ``ss_*`` fields are kept, and corrected where its counters are wrong. The ``dmm_*``
fields from the launcher (format, anchor, dataset) say how to decode the LoRA's images.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from library import train_util
from safetensors.torch import load_file, save_file

from dmm.checkpoints.header import read_metadata
from dmm.training.runs import RUN_STEPS

from .batches import BatchNumbers
from .ema import Ema
from .intervals import Intervals
from .run_files import whole_lora_file
from .steps import StepCounter


class LoraFile:
    """Writer of LoRA files: of the network's weights, or of their average where one is kept."""

    metadata: dict[str, Any]
    """The engine's own dictionary, complete when training starts."""
    batches: BatchNumbers
    ema: Ema | None = None

    def __init__(
        self, trainer: Any, args: argparse.Namespace, steps: StepCounter, intervals: Intervals
    ) -> None:
        self.trainer, self.args, self.steps, self.intervals = trainer, args, steps, intervals

    @contextmanager
    def with_averaged_weights(self) -> Iterator[None]:
        """Within the block the network has its averaged weights, if an average is kept."""
        if self.ema is None:
            yield
        else:
            with self.ema.with_averaged_weights():
                yield

    def save(self, path: Path) -> None:
        """Write the LoRA (averaged weights, if an average is kept), completely or not at all."""
        dtype = train_util.prepare_dtype(self.args)[1]
        with self.with_averaged_weights(), whole_lora_file(path) as partial:
            self.trainer.save_weights(str(partial), dtype, self._metadata())

    def copy_as_final(self, source: Path, path: Path) -> None:
        """Copy a LoRA of an earlier step, with the steps of the whole run in its metadata."""
        metadata = read_metadata(source) | {RUN_STEPS: str(self.steps.done)}
        with whole_lora_file(path) as partial:
            save_file(load_file(source), partial, metadata)

    def _metadata(self) -> dict[str, str]:
        """Metadata of a LoRA file: sd-scripts' fields, corrected, and ours."""
        metadata = {key: str(value) for key, value in self.metadata.items()}
        metadata |= self.trainer.get_sai_model_spec(self.args) | self._corrections()
        metadata["ss_training_finished_at"] = str(time.time())
        metadata["dmm_weights"] = "average" if self.ema else "last"
        return metadata | dict(pair.split("=", 1) for pair in self.args.lora_metadata or ())

    def _corrections(self) -> dict[str, str]:
        """Correct values of the engine's counters, which are wrong and restart on a resume."""
        done, total = self.steps.done, self.steps.total
        images = self.trainer.train_group.datasets[0]
        return {
            "ss_steps": str(done),
            "ss_max_train_steps": str(total),
            "ss_epoch": str(self.batches.epochs_in_steps(done)),
            "ss_num_epochs": str(self.batches.epochs_in_steps(total)),
            "ss_validate_every_n_steps": str(self.intervals.validate),
            "ss_validate_every_n_epochs": "None",
            "modelspec.resolution": f"{images.width}x{images.height}",
        }
