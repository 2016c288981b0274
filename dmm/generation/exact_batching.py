"""Bit-exact CPU batching: a clip's latents never depend on the rest of its batch.

A batch size may select another matrix routine, whose sums round differently. In these networks
that happens in linear layers with one row a clip: the time and size embeddings. Those layers run
clip by clip here. A batch shape is used only after its first result equalled the unbatched one;
other shapes run unbatched. Small networks gain a tenth from batches of four, large ones nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .conditioning import Conditioning
from .denoising import Latents, predict, unet_rows_per_clip


class BatchInvariantUNet:
    """``predict`` for a pipeline on a CPU, with the same bits for a clip in any batch."""

    def __init__(self, pipeline: Any) -> None:
        modules = pipeline.unet.modules()
        self._layers = [module for module in modules if type(module) is nn.Linear]
        self._is_exact: dict[tuple[object, ...], bool] = {}
        """Whether batches of this shape equal their clips computed one by one."""

    def __call__(
        self, pipeline: Any, noisy: Latents, timestep: torch.Tensor, conditioning: Conditioning
    ) -> Latents:
        """As ``predict``."""
        key = conditioning.is_guided, *noisy.shape
        if len(noisy) == 1 or self._is_exact.get(key) is False:
            return _predict_one_by_one(pipeline, noisy, timestep, conditioning)
        with self._linear_layers_by_clip(unet_rows_per_clip(pipeline.unet, conditioning)):
            batched = predict(pipeline, noisy, timestep, conditioning)
        if key not in self._is_exact:
            separate = _predict_one_by_one(pipeline, noisy, timestep, conditioning)
            self._is_exact[key] = torch.equal(batched, separate)
            return separate
        return batched

    @contextmanager
    def _linear_layers_by_clip(self, rows: int) -> Iterator[None]:
        """Split the input of linear layers with one row for each UNet input, ``rows`` a clip."""
        for layer in self._layers:
            layer.forward = partial(_linear_by_clip, layer, rows)  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            for layer in self._layers:
                del layer.forward


def _predict_one_by_one(
    pipeline: Any, noisy: Latents, timestep: torch.Tensor, conditioning: Conditioning
) -> Latents:
    """Predict each clip of a batch on its own."""
    clips = enumerate(noisy.split(1))
    return torch.cat([predict(pipeline, x, timestep, conditioning.rows([i])) for i, x in clips])


def _linear_by_clip(layer: nn.Linear, rows: int, x: torch.Tensor) -> torch.Tensor:
    if x.ndim != 2:
        return functional.linear(x, layer.weight, layer.bias)
    return torch.cat([functional.linear(part, layer.weight, layer.bias) for part in x.split(rows)])
