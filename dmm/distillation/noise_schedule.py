"""The noise schedule of SD 1.5 and SDXL, and what a prediction means at a timestep.

A UNet predicts the noise, or the velocity v (Salimans & Ho 2022, https://arxiv.org/abs/2202.00512);
either way the clean latents follow, and the deterministic step of DDIM (Song et al. 2021).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..pretraining.diffusion import v_schedule

Latents = Float[Tensor, "n channels rows frames"]


@dataclass(frozen=True)
class NoiseSchedule:
    """A model's noise schedule, and whether its UNet predicts ``epsilon`` or ``v_prediction``."""

    prediction_type: str
    alphas_cumprod: Float[Tensor, " timesteps"]
    """Share of the clean latents' variance that is left."""

    @classmethod
    def of(cls, prediction_type: str) -> "NoiseSchedule":
        """The schedule of SD 1.5 and SDXL."""
        return cls(prediction_type, v_schedule().alphas_cumprod)

    @property
    def timesteps(self) -> int:
        """Their number; the last is nearly all noise."""
        return len(self.alphas_cumprod)

    def add_noise(self, clean: Latents, noise: Latents, timesteps: Int[Tensor, " n"]) -> Latents:
        """Latents at the noise level of each timestep; -1 adds none."""
        signal, spread = self.signal_and_noise_factors(timesteps)
        return signal.to(clean) * clean + spread.to(clean) * noise

    def exact_prediction(
        self, clean: Latents, noise: Latents, timesteps: Int[Tensor, " n"]
    ) -> Latents:
        """The exact prediction: the noise, or the velocity."""
        if self.prediction_type == "epsilon":
            return noise
        signal, spread = self.signal_and_noise_factors(timesteps)
        return signal.to(clean) * noise - spread.to(clean) * clean

    def clean_latents(
        self, predicted: Latents, noisy: Latents, timesteps: Int[Tensor, " n"]
    ) -> Latents:
        """The clean latents that a prediction implies."""
        signal, spread = (level.to(noisy) for level in self.signal_and_noise_factors(timesteps))
        if self.prediction_type == "epsilon":
            return (noisy - spread * predicted) / signal
        return signal * noisy - spread * predicted

    def ddim_step(
        self,
        clean: Latents,
        noisy: Latents,
        timesteps: Int[Tensor, " n"],
        next_timesteps: Int[Tensor, " n"],
    ) -> Latents:
        """The same clean latents and noise at the next timesteps; -1 is without noise."""
        signal, spread = (level.to(noisy) for level in self.signal_and_noise_factors(timesteps))
        noise = (noisy - signal * clean) / spread
        return self.add_noise(clean, noise, next_timesteps)

    def prediction_of(
        self, clean: Latents, noisy: Latents, timesteps: Int[Tensor, " n"]
    ) -> Latents:
        """The prediction that implies these clean latents: the inverse of ``clean``."""
        signal, spread = (level.to(noisy) for level in self.signal_and_noise_factors(timesteps))
        if self.prediction_type == "epsilon":
            return (noisy - signal * clean) / spread
        return (signal * noisy - clean) / spread

    def signal_and_noise_factors(
        self, timesteps: Int[Tensor, " n"]
    ) -> tuple[Float[Tensor, "n 1 1 1"], Float[Tensor, "n 1 1 1"]]:
        """Factors of the clean latents and of the noise; 1 and 0 at timestep -1."""
        at = timesteps.cpu()
        share = torch.where(at < 0, 1.0, self.alphas_cumprod[at.clamp(min=0)])[:, None, None, None]
        return share.sqrt(), (1 - share).sqrt()

    def snr(self, timesteps: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Signal-to-noise ratio, of powers."""
        share = self.alphas_cumprod[timesteps.cpu()]
        return share / (1 - share)
