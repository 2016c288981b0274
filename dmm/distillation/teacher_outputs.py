"""The teacher's predictions and features for numbered examples, computed live or stored on disk.

With stored outputs teacher and student are never in memory together, and an output that is used
several times is computed once.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .examples import Batch, Examples
from .features import recording_outputs
from .shards import Rows, Shards
from .teacher import Teacher

SHARD = 1024
"""Examples in a file."""
_FEATURE = "feature-{:02}"


Outputs = Callable[[Tensor, Batch], tuple[Tensor, list[Tensor]]]
"""From example numbers and examples to guided predictions (n, channels, rows, frames), and to
features of the chosen modules (n, channels, positions)."""


class LiveOutputs:
    """Outputs computed when they are needed."""

    def __init__(self, teacher: Teacher, features: Sequence[str]) -> None:
        self.teacher, self.features = teacher, list(features)

    def __call__(self, _: Tensor, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """As ``Outputs``."""
        unet = self.teacher.pipeline.unet
        watch: Any = recording_outputs(unet, self.features) if self.features else nullcontext([])
        with watch as found:
            guided = self.teacher.guided_prediction(
                batch.noisy, batch.timesteps, batch.embeddings, batch.guidance
            )
        return guided, [feature[: len(batch)] for feature in found]  # of the rows with a prompt


class StoredOutputs:
    """Outputs of ``count`` examples, computed beforehand and read from disk."""

    def __init__(
        self, live: LiveOutputs, examples: Examples, count: int, batch: int, folder: Path
    ) -> None:
        """Compute what is missing; InputError if the folder holds outputs of other examples."""
        teacher, clips = live.teacher, examples.clips
        facts = [
            teacher.identity, live.features, clips.fingerprint, examples.table.texts,
            examples.guidance, examples.seed, count, teacher.compute.precision,
        ]  # fmt: skip
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

        def make(numbers: range) -> Rows:
            chosen = torch.tensor(list(numbers))
            guided, features = live(chosen, examples.batch(chosen))
            return {"guided": guided} | {_FEATURE.format(i): f for i, f in enumerate(features)}

        own = folder / f"outputs-{name}"
        if others := set(folder.glob("outputs-*")) - {own}:
            raise InputError(
                f"{others.pop()}: outputs of another teacher, or of other clips, captions or "
                "settings; remove the folder, or name another --out"
            )
        self._shards = Shards(own, count, SHARD)
        self._shards.make_missing_files("teacher's outputs", make, batch, teacher.compute)

    def __call__(self, numbers: Tensor, _: Batch) -> tuple[Tensor, list[Tensor]]:
        """As ``Outputs``."""
        rows = self._shards.rows(numbers)
        return rows.pop("guided"), [rows[name] for name in sorted(rows)]
