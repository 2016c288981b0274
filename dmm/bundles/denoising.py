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
        """Concatenate rows."""
        pooled = [part.pooled for part in parts if part.pooled is not None]
        hidden = np.concatenate([part.hidden for part in parts])
        return cls(hidden, np.concatenate(pooled) if pooled else None)

    def toward(self, other: "Embeddings", amount: float) -> "Embeddings":
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
    shape: tuple[int, ...],
    factor: int,
    guidance_input: float | None = None,
) -> dict[str, np.ndarray]:
    """The UNet's inputs that stay the same over all steps.

    ``shape`` is that of the latents, ``factor`` image pixels per latent, for SDXL's sizes.
    ``guidance_input`` is for a UNet that takes the scale as an input.
    """
    together = embeddings if negative is None else Embeddings.joined([negative, embeddings])
    inputs = {"context": together.hidden}
    if together.pooled is not None:
        size = [length * factor for length in shape[2:]]
        ids = np.array([[*size, 0, 0, *size]], np.float32)
        inputs |= {"pooled": together.pooled, "time_ids": ids.repeat(len(together.hidden), 0)}
    if guidance_input is not None:
        inputs["guidance"] = np.array([guidance_input], np.float32)
    return inputs


def ignore_step(taken: int, of: int) -> None:
    """Do nothing before a step."""


def denoise(
    predict: Predict,
    sampler: Sampler,
    noise: Latents,
    inputs: dict[str, np.ndarray],
    guidance: float,
    more_noise: Callable[[], Latents],
    on_step: OnStep = ignore_step,
) -> Latents:
    """Sample one clip's latents; ``noise`` is (1, channels, rows, columns), standard normal.

    ``inputs`` are ``unet_inputs``; of two rows, the first is what to stay away from, ``guidance``
    times as far as the second says.
    """
    rows = len(inputs["context"])
    latents = (noise * sampler.init_noise_sigma).astype(np.float32)
    for number, time in enumerate(sampler.timesteps):
        on_step(number, len(sampler.timesteps))
        scaled = sampler.scale(latents, number).astype(np.float32)
        changing = {"sample": scaled.repeat(rows, 0), "timestep": np.array([time], np.float32)}
        found = predict(inputs | changing)
        if rows == 2:
            found = found[:1] + np.float32(guidance) * (found[1:] - found[:1])
        latents = sampler.step(found, number, latents, more_noise).astype(np.float32)
    return latents
