"""SpecAugment in latent space: strips of time and of mel are hidden from the model.

Park et al. 2019 (https://arxiv.org/abs/1904.08779) mask the input of a recogniser. A model that
draws must not learn to draw the bars: each takes the clip's own mean, and the loss leaves it out.
Masking latents works with cached latents, where images are no longer at hand.
"""

import torch
from torch import Tensor

from dmm.errors import PresetError


def mask(
    latents: Tensor,
    share: float,
    time: float = 0.2,
    mel: float = 0.2,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Hide a strip of time and a strip of mel rows in a ``share`` of the clips.

    ``latents`` (batch, channels, rows, frames), clean ones: noise comes afterwards. Widths are
    uniform from 0 up to a share ``time`` of the frames and ``mel`` of the rows, places uniform.
    Within a strip every channel has its mean over the clip. Returns new latents, and the weights
    of the loss (batch, 1, rows, frames) float32: 0 in the strips, mean 1 a clip; None if nothing is
    hidden. Draws are on the CPU, from ``generator`` or the global one, as many whatever they
    give; with a share of 0 nothing is drawn.
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
    drawn = torch.rand(5, batch, 1, generator=generator)
    chosen = drawn[0] < share  # (batch, 1)
    columns = _strip(frames, time, drawn[1], drawn[2]) & chosen
    lines = _strip(rows, mel, drawn[3], drawn[4]) & chosen
    if not (columns.any() or lines.any()):
        return latents, None
    hidden = (columns[:, None, None, :] | lines[:, None, :, None]).to(latents.device)
    seen = (~hidden).float()
    weights = seen / seen.mean((2, 3), keepdim=True)
    return torch.where(hidden, latents.mean((2, 3), keepdim=True), latents), weights


def _strip(size: int, largest: float, width: Tensor, start: Tensor) -> Tensor:
    """A run of trues in every row of (batch, size), from uniform numbers (batch, 1) below 1."""
    most = int(size * largest)
    widths = (width * (most + 1)).long().clamp(max=most)  # float32 may round up to most + 1
    starts = (start * (size - widths + 1)).long()
    starts = starts.minimum(size - widths)
    place = torch.arange(size)
    return (place >= starts) & (place < starts + widths)
