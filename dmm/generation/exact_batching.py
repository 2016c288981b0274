"""Batches on a CPU that change no bit of a clip.

A batch changes sums by rounding wherever the library picks another routine for it. In these
networks that is where a layer has a row a clip and no more: the embeddings of time and size. Such
layers are fed clip by clip here, and what comes of a batch is held once against its clips drawn
alone; only a size at which not a bit differs is drawn together. In quick succession to one another
small networks are a tenth slower alone than four at a time; large ones are no slower.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .conditioning import Conditions
from .denoising import Latents, predict


class Alike:
    """``predict`` for a pipeline on a CPU, the same bits for a clip whatever is drawn with it."""

    def __init__(self, pipeline: Any) -> None:
        modules = pipeline.unet.modules()
        self._layers = [module for module in modules if type(module) is nn.Linear]
        self._holds: dict[tuple[object, ...], bool] = {}
        """Whether a batch of this shape is what its clips are alone."""

    def __call__(
        self, pipeline: Any, noisy: Latents, timestep: torch.Tensor, conditions: Conditions
    ) -> Latents:
        """As ``predict``."""
        key = conditions.guided, *noisy.shape
        if len(noisy) == 1 or self._holds.get(key) is False:
            return _alone(pipeline, noisy, timestep, conditions)
        with self._clip_by_clip(rows=2 if conditions.guided else 1):
            together = predict(pipeline, noisy, timestep, conditions)
        if key not in self._holds:
            alone = _alone(pipeline, noisy, timestep, conditions)
            self._holds[key] = torch.equal(together, alone)
            return alone
        return together

    @contextmanager
    def _clip_by_clip(self, rows: int) -> Iterator[None]:
        """Layers with one row for each UNet input take those of one clip at a time."""
        for layer in self._layers:
            layer.forward = partial(_in_parts, layer, rows)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.forward


def _alone(
    pipeline: Any, noisy: Latents, timestep: torch.Tensor, conditions: Conditions
) -> Latents:
    clips = enumerate(noisy.split(1))
    return torch.cat([predict(pipeline, x, timestep, conditions.clip(i)) for i, x in clips])


def _in_parts(layer: nn.Linear, rows: int, x: torch.Tensor) -> torch.Tensor:
    if x.ndim != 2:
        return functional.linear(x, layer.weight, layer.bias)
    return torch.cat([functional.linear(part, layer.weight, layer.bias) for part in x.split(rows)])
