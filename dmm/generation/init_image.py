"""The mel image of an existing sound that sampling starts from, whole or outside a mask."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class InitImage:
    """Mel image of a sound, and how much of it generation replaces."""

    levels: np.ndarray = field(repr=False, compare=False)
    """(rows, frames) or (rows, frames, 3), uint8."""
    sha256: str
    """Of the audio file."""
    start_s: float
    """Second of the audio file at which the image begins."""
    strength: float
    """Share of the sampling steps that are run, over 0 to 1; 1 keeps nothing of the sound."""
    span: tuple[int, int] | None = None
    """Image columns to replace, first and one past the last; None replaces all."""
    fade: int = 0
    """Columns of the fade at each end of the span, inside it."""

    def as_json(self) -> dict[str, Any]:
        """The init image's part of a clip's JSON file."""
        return {
            "init_sha256": self.sha256,
            "init_begin_s": self.start_s,
            "strength": self.strength,
            **({"mask_columns": list(self.span)} if self.span else {}),
        }

    def encode_latents(self, pipeline: Any) -> Any:
        """The image's latents by the pipeline's VAE, a tensor (1, channels, rows, frames)."""
        import torch

        from ..checkpoints.networks import mean_latents

        levels = self.levels if self.levels.ndim == 3 else np.stack([self.levels] * 3, -1)
        pixels = torch.from_numpy(levels.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        vae = pipeline.vae
        with torch.no_grad():
            return mean_latents(vae, pixels.to(pipeline._execution_device, vae.dtype))

    def latent_column_mask(self, n_columns: int) -> Any:
        """A tensor (columns,): 1 for latent columns that the span touches, 0 for the others."""
        import torch

        if not self.span:
            return torch.ones(n_columns)
        factor = self.levels.shape[1] // n_columns
        columns = torch.arange(n_columns)
        first, end = self.span[0] // factor, -(-self.span[1] // factor)
        return ((columns >= first) & (columns < end)).float()

    def restore_outside_span(self, generated: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
        """The generated image with the sound's own columns outside the span, faded within it."""
        if not self.span:
            return generated
        first, end = self.span
        columns = np.arange(generated.shape[1]) + 0.5
        ramp = np.minimum(columns - first, end - columns) / max(self.fade, 1)
        share = np.clip(ramp, 0, 1).reshape(1, -1, *[1] * (generated.ndim - 2))
        return np.rint(share * generated + (1 - share) * self.levels).astype(np.uint8)
