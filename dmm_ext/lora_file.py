"""LoRA files: the weights to use, and metadata that says all one needs to use them.

The engine's ``ss_*`` fields are kept, those corrected that it cannot know here; ``dmm_*`` fields
from the launcher (format, anchor, dataset) say how to decode what the LoRA draws.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from library import train_util

from .cadence import Every
from .checkpoints import whole
from .ema import Ema
from .steps import Steps
from .stream import Stream


class LoraFile:
    """Writes the network as it is now, or its average where one is kept."""

    metadata: dict[str, Any]
    """The engine's own dictionary, complete when training begins."""
    stream: Stream
    ema: Ema | None = None

    def __init__(self, trainer: Any, args: argparse.Namespace, steps: Steps, every: Every) -> None:
        self.trainer, self.args, self.steps, self.every = trainer, args, steps, every

    @contextmanager
    def weights_to_use(self) -> Iterator[None]:
        """Within the block the network has the weights that are validated, heard and saved."""
        if self.ema is None:
            yield
        else:
            with self.ema.applied():
                yield

    def save(self, path: Path) -> None:
        """Write the LoRA, whole or not at all."""
        dtype = train_util.prepare_dtype(self.args)[1]
        with self.weights_to_use(), whole(path) as partial:
            self.trainer.save_weights(str(partial), dtype, self._metadata())

    def copy(self, source: Path, path: Path) -> None:
        """Give a LoRA that was saved before another name."""
        with whole(path) as partial:
            shutil.copyfile(source, partial)

    def _metadata(self) -> dict[str, str]:
        metadata = {key: str(value) for key, value in self.metadata.items()}
        metadata |= self.trainer.get_sai_model_spec(self.args) | self._corrections()
        metadata["ss_training_finished_at"] = str(time.time())
        metadata["dmm_weights"] = "average" if self.ema else "last"
        return metadata | dict(pair.split("=", 1) for pair in self.args.lora_metadata or ())

    def _corrections(self) -> dict[str, str]:
        """Where the engine errs: its counters are switched off, and start again at a resume."""
        done, total = self.steps.done, self.steps.total
        images = self.trainer.train_group.datasets[0]
        return {
            "ss_steps": str(done),
            "ss_max_train_steps": str(total),
            "ss_epoch": str(self.stream.turns(done)),
            "ss_num_epochs": str(self.stream.turns(total)),
            "ss_validate_every_n_steps": str(self.every.validate),
            "ss_validate_every_n_epochs": "None",
            "modelspec.resolution": f"{images.width}x{images.height}",
        }
