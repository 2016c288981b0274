"""Sample latents from noise, with any runtime for the UNet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from .samplers import Latents, Sampler

Predict = Callable[[dict[str, np.ndarray]], Latents]
"""Runs the UNet on inputs by their names in ``bundle.json``."""
OnStep = Callable[[int, int], object]
"""Called before every step with steps done and in total; an exception stops sampling."""


@dataclass(frozen=True)
class Embeddings:
    """Embeddings of prompts, one row each."""

    hidden: Float[np.ndarray, "n places width"]
    pooled: Float[np.ndarray, "n pooled_width"] | None
    """SDXL only."""

    @classmethod
    def joined(cls, parts: "Sequence[Embeddings]") -> "Embeddings":
        """Concatenate the rows of several embeddings."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        hidden = np.concatenate([part.hidden for part in parts])
        return cls(hidden, np.concatenate(pooled) if pooled else None)

    def interpolate(self, other: "Embeddings", amount: float) -> "Embeddings":
        """Interpolate linearly from these rows (0) to ``other`` (1)."""

        def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return (a + np.float32(amount) * (b - a)).astype(np.float32)

        pooled = None
        if self.pooled is not None and other.pooled is not None:
            pooled = between(self.pooled, other.pooled)
        return Embeddings(between(self.hidden, other.hidden), pooled)


def unet_inputs(
    embeddings: Embeddings,
    negative: Embeddings | None,
    latent_shape: tuple[int, ...],
    pixels_per_latent: int,
    guidance_input: float | None = None,
) -> dict[str, np.ndarray]:
    """The UNet's inputs that stay the same over all steps.

    ``latent_shape`` and ``pixels_per_latent`` (along one side) give SDXL's image size.
    ``guidance_input`` is for a UNet that takes the guidance scale as an input.
    """
    together = embeddings if negative is None else Embeddings.joined([negative, embeddings])
    inputs = {"context": together.hidden}
    if together.pooled is not None:
        size = [length * pixels_per_latent for length in latent_shape[2:]]
        ids = np.array([[*size, 0, 0, *size]], np.float32)
        inputs |= {"pooled": together.pooled, "time_ids": ids.repeat(len(together.hidden), 0)}
    if guidance_input is not None:
        inputs["guidance"] = np.array([guidance_input], np.float32)
    return inputs


def ignore_step(done: int, total: int) -> None:
    """Do nothing before a step."""


def denoise(
    predict: Predict,
    sampler: Sampler,
    noise: Latents,
    inputs: dict[str, np.ndarray],
    guidance: float,
    make_noise: Callable[[], Latents],
    on_step: OnStep = ignore_step,
) -> Latents:
    """Sample one clip's latents; ``noise`` is (1, channels, rows, columns), standard normal.

    ``inputs`` are ``unet_inputs``. With two rows, the first of which is the negative prompt,
    classifier-free guidance of scale ``guidance`` is applied. ``make_noise`` generates the noise
    that the sampler adds between steps.
    """
    rows = len(inputs["context"])
    latents = (noise * sampler.init_noise_sigma).astype(np.float32)
    for number, time in enumerate(sampler.timesteps):
        on_step(number, len(sampler.timesteps))
        scaled = sampler.scale_input(latents, number).astype(np.float32)
        changing = {"sample": scaled.repeat(rows, 0), "timestep": np.array([time], np.float32)}
        found = predict(inputs | changing)
        if rows == 2:
            found = found[:1] + np.float32(guidance) * (found[1:] - found[:1])
        latents = sampler.step(found, number, latents, make_noise).astype(np.float32)
    return latents
