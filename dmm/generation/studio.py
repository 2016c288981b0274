"""A model that is loaded once, when first needed, and draws clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import ModelError
from ..files import sha256_file
from ..lora import check_lora
from .alike import Alike
from .drawing import (
    Latents,
    OnStep,
    Predict,
    decode_latents,
    draw_latents,
    no_step,
    predict,
    to_levels,
)
from .opening import Lora, Offload, Precision, open_pipeline, pick_device, pick_precision
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
        """Loads nothing yet, but raises what ``open_pipeline`` would for files and settings."""
        self.model, self.loras, self.offload = model, tuple(loras), offload
        self.device = pick_device(device)
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
        if broken and self.precision != "fp32":
            again = [batch[number] for number in broken]
            latents[broken] = draw_latents(self._full, again, recipe, on_step)
        if _broken(latents):
            raise ModelError(
                f"{batch[_broken(latents)[0]].clip_id}: the picture holds NaN in full precision, "
                "too: a LoRA has diverged or is too strong, or the weights are damaged"
            )
        levels = [to_levels(x, recipe.stereo) for x in decode_latents(self.pipeline, latents)]
        return [Picture(x, number in broken) for number, x in enumerate(levels)]


def _broken(latents: Latents) -> list[int]:
    """Rows that are not finite."""
    finite = torch.isfinite(latents).flatten(1).all(1)
    return (~finite).nonzero().flatten().tolist()
