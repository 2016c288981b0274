"""The few timesteps that a student is sampled at, and what its teacher does between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ..noise_schedule import Latents, NoiseSchedule

Predict = Callable[[Latents, Int[Tensor, " n"]], Latents]
"""A UNet with its prompts: from noisy latents and timesteps to predictions."""


@dataclass(frozen=True)
class FewStepSchedule:
    """Timesteps of the sampler ``ddim-trailing``, falling from noise alone."""

    noise_schedule: NoiseSchedule
    timesteps: tuple[int, ...]

    @classmethod
    def trailing(cls, noise_schedule: NoiseSchedule, steps: int) -> "FewStepSchedule":
        """Evenly spaced timesteps, beginning at the very last.

        >>> FewStepSchedule.trailing(NoiseSchedule.of("epsilon"), 4).timesteps
        (999, 749, 499, 249)
        """
        total = noise_schedule.timesteps
        spaced = np.round(np.arange(total, 0, -total / steps)).astype(int) - 1
        return cls(noise_schedule, tuple(spaced.tolist()))

    def __len__(self) -> int:
        return len(self.timesteps)

    def next_timestep(self, number: int) -> int:
        """The timestep that a step leads to; -1 is without noise."""
        return self.timesteps[number + 1] if number + 1 < len(self) else -1

    def step(self, predict: Predict, noisy: Latents, first: int, last: int) -> Latents:
        """A DDIM step from one timestep to another."""
        at, after = _repeated_timestep(first, noisy), _repeated_timestep(last, noisy)
        clean = self.noise_schedule.clean_latents(predict(noisy, at), noisy, at)
        return self.noise_schedule.ddim_step(clean, noisy, at, after)

    @torch.no_grad()
    def sample_to(self, predict: Predict, noise: Latents, number: int) -> Latents:
        """The noisy latents before step ``number``, sampled from noise alone."""
        noisy = noise
        for earlier in range(number):
            timesteps = self.timesteps[earlier], self.next_timestep(earlier)
            noisy = self.step(predict, noisy, *timesteps)
        return noisy

    @torch.no_grad()
    def teacher_target(self, predict: Predict, noisy: Latents, number: int, passes: int) -> Latents:
        """The prediction whose single step ends where ``passes`` steps of the teacher end.

        As in progressive distillation (Salimans & Ho 2022, appendix G), for any number of steps.
        """
        first, last = self.timesteps[number], self.next_timestep(number)
        end = noisy
        for start, stop in pairwise(spaced_timesteps(first, last, passes)):
            end = self.step(predict, end, start, stop)
        at, after = _repeated_timestep(first, noisy), _repeated_timestep(last, noisy)
        schedule = self.noise_schedule
        (signal, spread), (signal_after, spread_after) = (
            [level.to(noisy) for level in schedule.signal_and_noise_factors(timestep)]
            for timestep in (at, after)
        )
        share = spread_after / spread
        clean = (end - share * noisy) / (signal_after - share * signal)
        return schedule.prediction_of(clean, noisy, at)


def spaced_timesteps(first: int, last: int, passes: int) -> Sequence[int]:
    """Timesteps from ``first`` to ``last`` in even steps, both included.

    >>> spaced_timesteps(249, -1, 4)
    [249, 186, 124, 62, -1]
    """
    return [round(timestep) for timestep in np.linspace(first, last, passes + 1).tolist()]


def _repeated_timestep(timestep: int, latents: Latents) -> Int[Tensor, " n"]:
    return torch.full((len(latents),), timestep, dtype=torch.long)
