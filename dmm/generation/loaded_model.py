"""A model that is loaded once, when first needed, and draws clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..checkpoints.lora import check_lora
from ..devices import Precision, pick_device, pick_precision
from ..errors import ModelError
from ..files import sha256_file
from .denoising import Latents, OnStep, Predict, no_step, predict
from .drawing import decode_levels, draw_latents
from .exact_batching import Alike
from .loading import Lora, Offload, open_pipeline
from .recipe import Recipe
from .requests import Request


@dataclass(frozen=True)
class Picture:
    """A clip's mel image."""

    levels: np.ndarray
    """(rows, frames) or (rows, frames, 3), uint8."""
    rescued: bool = False
    """Half precision overflowed, so it was drawn in full precision."""


class Studio:
    """A checkpoint with LoRAs on it and the machine it computes on."""

    def __init__(
        self,
        model: Path,
        loras: Sequence[Lora] = (),
        device: str = "auto",
        precision: Precision = "auto",
        offload: Offload = "none",
    ) -> None:
        """Loads nothing yet; ModelError, in one line, for a LoRA of another base."""
        self.model, self.loras, self.offload = model, tuple(loras), offload
        self.device = pick_device(device) if device == "auto" else device
        self.precision = pick_precision(precision, self.device)
        for lora in loras:
            check_lora(lora.path, model)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a clip's settings say of the model."""
        loras = [{"sha256": sha256_file(lora.path), "weight": lora.weight} for lora in self.loras]
        return {
            "model_sha256": sha256_file(self.model),
            "loras": loras,
            "precision": self.precision,
        }

    @cached_property
    def pipeline(self) -> Any:
        """The diffusers pipeline."""
        return self._open(self.precision, self.offload)

    @cached_property
    def _full(self) -> Any:
        """The pipeline in full precision; on a card layer by layer, there is another one there."""
        return self._open("fp32", "none" if self.device == "cpu" else "sequential")

    @cached_property
    def _predict(self) -> Predict:
        return Alike(self.pipeline) if self.device == "cpu" else predict

    def _open(self, precision: Any, offload: Any) -> Any:
        return open_pipeline(self.model, self.loras, self.device, precision, offload)

    def draw(
        self,
        batch: Sequence[Request],
        recipe: Recipe,
        on_step: OnStep = no_step,
    ) -> list[Picture]:
        """A picture for every request, the same whatever the batch: on a GPU but for rounding.

        Where half precision overflows, the clip is drawn again in full precision; ModelError if
        that does, too.
        """
        latents = draw_latents(self.pipeline, batch, recipe, on_step, self._predict)
        broken = _broken(latents)
        if self.precision != "fp32":
            for number in broken:  # one by one, so that here, too, a batch changes nothing
                latents[number] = draw_latents(self._full, [batch[number]], recipe, on_step)[0]
        if _broken(latents):
            raise ModelError(
                f"{batch[_broken(latents)[0]].clip_id}: the picture holds NaN in full precision, "
                "too: a LoRA has diverged or is too strong, or the weights are damaged"
            )
        levels = decode_levels(self.pipeline, latents, recipe)
        return [Picture(x, number in broken) for number, x in enumerate(levels)]


def _broken(latents: Latents) -> list[int]:
    """Rows that are not finite."""
    finite = torch.isfinite(latents).flatten(1).all(1)
    return (~finite).nonzero().flatten().tolist()
