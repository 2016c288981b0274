"""LoRA files: the weights to use, and metadata that says all one needs to use them.

The engine's ``ss_*`` fields are kept, with true step counts; ``dmm_*`` fields from the launcher
(format, anchor, dataset) say how to decode what the LoRA draws.
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from library import train_util

from .checkpoints import whole
from .ema import Ema
from .steps import Steps


class LoraFile:
    """Writes the network as it is now, or its average where one is kept."""

    metadata: dict[str, Any]
    """The engine's own dictionary, complete when training begins."""
    ema: Ema | None = None

    def __init__(self, trainer: Any, args: argparse.Namespace, steps: Steps) -> None:
        self.trainer, self.args, self.steps = trainer, args, steps

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
        metadata |= self.trainer.get_sai_model_spec(self.args)
        metadata["ss_training_finished_at"] = str(time.time())
        if self.args.no_metadata:
            kept = train_util.SS_METADATA_MINIMUM_KEYS
            metadata = {key: metadata[key] for key in kept if key in metadata}
        self.steps.correct(metadata)
        metadata["dmm_weights"] = "average" if self.ema else "last"
        return metadata | dict(pair.split("=", 1) for pair in self.args.lora_metadata or ())
