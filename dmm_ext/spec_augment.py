"""SpecAugment in latent space: mask strips of time and of mel rows.

Park et al. 2019 (https://arxiv.org/abs/1904.08779) mask the input of a recogniser. A generator must
not learn to draw the strips: each is filled with the clip's own mean and left out of the loss.
Masking latents also works with cached latents, where there are no images.
"""

import torch
from torch import Tensor

from dmm.errors import PresetError


def mask_strips(
    latents: Tensor,
    share: float,
    time: float = 0.2,
    mel: float = 0.2,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Mask strips of time and mel in a ``share`` of clips; also return loss weights, or None.

    ``latents`` (batch, channels, rows, frames) are clean; noise is added afterwards. Widths are
    uniform from 0 up to a share ``time`` of the frames and ``mel`` of the rows, positions uniform.
    Within a strip every channel has its mean over the clip. Returns masked latents, and weights of
    the loss (batch, 1, rows, frames) float32: 0 in the strips, mean 1 per clip; None if nothing is
    masked. Random numbers come from ``generator`` or the global one, on the CPU, always equally
    many; none with a share of 0. PresetError for a share out of range.
    """
    if not 0 <= share <= 1:
        raise PresetError(f"spec_augment is {share}; a share of the clips, 0 to 1")
    if not (0 <= time < 1 and 0 <= mel < 1):
        raise PresetError(
            f"spec_augment_time is {time}, spec_augment_mel {mel}; both are 0 or more and below 1"
        )
    if not share:
        return latents, None
    batch, _, rows, frames = latents.shape
    numbers = torch.rand(5, batch, 1, generator=generator)
    chosen = numbers[0] < share  # (batch, 1)
    columns = _strip_mask(frames, time, numbers[1], numbers[2]) & chosen
    lines = _strip_mask(rows, mel, numbers[3], numbers[4]) & chosen
    if not (columns.any() or lines.any()):
        return latents, None
    masked = (columns[:, None, None, :] | lines[:, None, :, None]).to(latents.device)
    unmasked = (~masked).float()
    weights = unmasked / unmasked.mean((2, 3), keepdim=True)
    return torch.where(masked, latents.mean((2, 3), keepdim=True), latents), weights


def _strip_mask(size: int, largest: float, width: Tensor, start: Tensor) -> Tensor:
    """Mask (batch, size) with one true strip per clip, at most ``largest`` (a share) wide.

    ``width`` and ``start`` are random numbers 0..1, (batch, 1).
    """
    most = int(size * largest)
    widths = (width * (most + 1)).long().clamp(max=most)  # float32 may round up to most + 1
    starts = (start * (size - widths + 1)).long()
    starts = starts.minimum(size - widths)
    place = torch.arange(size)
    return (place >= starts) & (place < starts + widths)
