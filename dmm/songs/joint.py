"""Joint diffusion: one long latent, drawn through overlapping windows as wide as one clip.

At every step each window is predicted as a clip of its own, and one scheduler takes one step of
the whole latent: so any sampler works, also one that remembers earlier steps. Where two windows
overlap, their predictions are swapped column by column (``dmm.songs.windows``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from ..generation.conditioning import Conditions
from ..generation.denoising import OnStep, Predict, no_step, sample
from ..generation.drawing import decode_latent, to_levels
from ..generation.sampling import Sampling
from .windows import OVERLAP, Windows

Long = Float[torch.Tensor, "1 channels latent_rows length"]
"""The latent of a whole piece."""
OnWindow = Callable[[int], object]
"""Called with the number of windows that are done."""


def draw_jointly(
    pipeline: Any,
    windows: Windows,
    conditions: Conditions,
    sampling: Sampling,
    rows: int,
    seed: int,
    predict: Predict,
    batch_size: int = 4,
    on_step: OnStep = no_step,
    on_window: OnWindow = int,
) -> Long:
    """The latent of a whole piece, on the CPU; ``conditions`` has a row for every window.

    Noise comes column by column from the seed: a longer piece begins with the noise of a shorter
    one.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = windows.length, pipeline.unet.config.in_channels, rows
    noise = torch.randn(shape, generator=generator).permute(1, 2, 0)[None]
    jointly = _Jointly(windows, conditions, predict, batch_size, on_window)
    return sample(
        pipeline, noise.contiguous(), conditions, sampling, [generator],
        on_step=on_step, predict=jointly,
    )  # fmt: skip


class _Jointly:
    """``predict`` for a long latent; counts the turns of the swap."""

    def __init__(
        self,
        windows: Windows,
        conditions: Conditions,
        predict: Predict,
        batch_size: int,
        on_window: OnWindow,
    ) -> None:
        self.windows, self.conditions, self.predict = windows, conditions, predict
        self.batch_size, self.on_window, self.turn = batch_size, on_window, 0

    def __call__(self, pipeline: Any, noisy: Long, timestep: torch.Tensor, _: Conditions) -> Long:
        """As ``predict``, of one long latent."""
        numbers = range(len(self.windows.starts))
        batches = [numbers[i : i + self.batch_size] for i in numbers[:: self.batch_size]]
        found = torch.cat([self._batch(pipeline, noisy, timestep, batch) for batch in batches])
        side_by_side = found.permute(1, 2, 0, 3).flatten(2)
        chosen = torch.from_numpy(self.windows.swapped(self.turn)).to(found.device)
        self.turn += 1
        return side_by_side[..., chosen][None]

    def _batch(
        self, pipeline: Any, noisy: Long, timestep: torch.Tensor, numbers: range
    ) -> Float[torch.Tensor, "windows channels latent_rows width"]:
        views = torch.cat([noisy[..., self.windows.columns(number)] for number in numbers])
        asked = Conditions(
            self.conditions.words.rows(numbers),
            self.conditions.negative.rows(numbers),
            self.conditions.guidance,
        )
        found = self.predict(pipeline, views, timestep, asked)
        self.on_window(len(numbers))
        return found


def decode_jointly(
    pipeline: Any,
    latents: Long,
    windows: Windows,
    stereo: bool,
    on_window: OnWindow = int,
) -> UInt8[np.ndarray, "rows frames *rgb"]:
    """The wide mel image, decoded window by window; where they overlap one fades into the next.

    The decoder's norms depend on all that it sees, so two windows differ a little in the same
    place. But for the image only a few windows' pictures are held.
    """
    factor, length = pipeline.vae_scale_factor, windows.length
    wide = np.zeros(
        (latents.shape[2] * factor, length * factor, *((3,) if stereo else ())), np.uint8
    )
    last = np.zeros(length, int)
    for number in range(len(windows.starts)):
        last[windows.columns(number)] = number
    views = torch.cat([latents[..., windows.columns(i)] for i in range(len(windows.starts))])
    share = _shares(windows.width * factor)
    open_columns: dict[int, tuple[Any, Any]] = {}
    for number, view in enumerate(views.split(1)):
        picture = decode_latent(pipeline, view)
        for place, column in enumerate(windows.columns(number).tolist()):
            pixels = slice(place * factor, (place + 1) * factor)
            total, weight = open_columns.get(column, (0, 0))
            shown, counts = picture[:, pixels], share[pixels, None]
            open_columns[column] = total + counts * shown, weight + counts
        for column in np.flatnonzero(last == number).tolist():
            total, weight = open_columns.pop(column)
            pixels = slice(column * factor, (column + 1) * factor)
            wide[:, pixels] = to_levels(total / weight, stereo)
        on_window(1)
    return wide


def _shares(width: int) -> Float[np.ndarray, " width"]:
    """How much a window's columns count: all of its middle, ever less towards its ends."""
    to_end = np.minimum(np.arange(width), np.arange(width)[::-1]) + 0.5
    return np.minimum(to_end / (OVERLAP * width), 1).astype(np.float32)
