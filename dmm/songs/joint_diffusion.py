"""Joint diffusion: one long latent, denoised through overlapping windows as wide as one clip.

At each step the UNet predicts every window as a clip of its own, and the scheduler takes one step
of the whole latent, so any sampler works, also multistep ones. Where two windows overlap, their
predictions are swapped column by column (``dmm.songs.latent_windows``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from ..generation.callbacks import OnStep, ignore_step
from ..generation.conditioning import Conditioning
from ..generation.denoising import Predict, sample
from ..generation.mel_images import decode_latent, to_mel_image
from ..generation.sampling import Sampling
from .latent_windows import OVERLAP, Windows

LongLatent = Float[torch.Tensor, "1 channels latent_rows length"]
"""The latent of a whole song."""
OnWindows = Callable[[int], object]
"""Called with the number of windows just finished."""


def sample_jointly(
    pipeline: Any,
    windows: Windows,
    conditioning: Conditioning,
    sampling: Sampling,
    rows: int,
    seed: int,
    predict: Predict,
    batch_size: int = 4,
    on_step: OnStep = ignore_step,
    on_windows: OnWindows = int,
) -> LongLatent:
    """Denoise the latent of a whole song; ``conditioning`` has one row a window.

    Noise is made column by column from the seed, so a longer song begins with the noise of a
    shorter one. The result is on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = windows.length, pipeline.unet.config.in_channels, rows
    noise = torch.randn(shape, generator=generator).permute(1, 2, 0)[None]
    jointly = _JointPrediction(windows, conditioning, predict, batch_size, on_windows)
    return sample(
        pipeline, noise.contiguous(), conditioning, sampling, [generator],
        on_step=on_step, predict=jointly,
    )  # fmt: skip


class _JointPrediction:
    """``predict`` for a long latent; counts its calls, since the swap alternates with them."""

    def __init__(
        self,
        windows: Windows,
        conditioning: Conditioning,
        predict: Predict,
        batch_size: int,
        on_windows: OnWindows,
    ) -> None:
        self.windows, self.conditioning, self.predict = windows, conditioning, predict
        self.batch_size, self.on_windows, self.turn = batch_size, on_windows, 0

    def __call__(
        self, pipeline: Any, noisy: LongLatent, timestep: torch.Tensor, _: Conditioning
    ) -> LongLatent:
        """As ``predict``, for one long latent."""
        numbers = range(len(self.windows.starts))
        batches = [numbers[i : i + self.batch_size] for i in numbers[:: self.batch_size]]
        found = torch.cat(
            [self._predict_batch(pipeline, noisy, timestep, batch) for batch in batches]
        )
        side_by_side = found.permute(1, 2, 0, 3).flatten(2)
        sources = torch.from_numpy(self.windows.sources(self.turn)).to(found.device)
        self.turn += 1
        return side_by_side[..., sources][None]

    def _predict_batch(
        self, pipeline: Any, noisy: LongLatent, timestep: torch.Tensor, numbers: range
    ) -> Float[torch.Tensor, "windows channels latent_rows width"]:
        """The UNet's prediction for a batch of windows."""
        views = torch.cat([noisy[..., self.windows.columns(number)] for number in numbers])
        found = self.predict(pipeline, views, timestep, self.conditioning.rows(numbers))
        self.on_windows(len(numbers))
        return found


def decode_windows(
    pipeline: Any,
    latents: LongLatent,
    windows: Windows,
    stereo: bool,
    on_windows: OnWindows = int,
) -> UInt8[np.ndarray, "rows frames *rgb"]:
    """Decode a long latent window by window to the wide mel image; overlaps are crossfaded.

    Two windows differ slightly in the same place, because the decoder's norms depend on all of its
    input. Beside the wide image only a few windows' images are in memory.
    """
    factor, length = pipeline.vae_scale_factor, windows.length
    wide = np.zeros(
        (latents.shape[2] * factor, length * factor, *((3,) if stereo else ())), np.uint8
    )
    last = np.zeros(length, int)
    for number in range(len(windows.starts)):
        last[windows.columns(number)] = number
    views = torch.cat([latents[..., windows.columns(i)] for i in range(len(windows.starts))])
    fade = _window_weights(windows.width * factor)
    unfinished: dict[int, tuple[Any, Any]] = {}
    for number, view in enumerate(views.split(1)):
        image = decode_latent(pipeline, view)
        for place, column in enumerate(windows.columns(number).tolist()):
            pixels = slice(place * factor, (place + 1) * factor)
            total, weight = unfinished.get(column, (0, 0))
            values, shares = image[:, pixels], fade[pixels, None]
            unfinished[column] = total + shares * values, weight + shares
        for column in np.flatnonzero(last == number).tolist():
            total, weight = unfinished.pop(column)
            pixels = slice(column * factor, (column + 1) * factor)
            wide[:, pixels] = to_mel_image(total / weight, stereo)
        on_windows(1)
    return wide


def _window_weights(width: int) -> Float[np.ndarray, " width"]:
    """Weights of a window's columns: 1 in the middle, falling towards both ends."""
    to_end = np.minimum(np.arange(width), np.arange(width)[::-1]) + 0.5
    return np.minimum(to_end / (OVERLAP * width), 1).astype(np.float32)
