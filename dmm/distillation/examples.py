"""Numbered training examples: noisy latents, timestep, prompt embeddings, guidance scale.

An example follows from the run's seed and its number, so the teacher's outputs can be stored under
that number.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..generation.conditioning import PromptEmbeddings
from .embedding_table import EmbeddingTable
from .noise_schedule import NoiseSchedule
from .training_clips import TrainingClips


@dataclass(frozen=True)
class Batch:
    """Inputs and exact target of several examples."""

    noisy: Float[Tensor, "n channels rows frames"]
    target: Float[Tensor, "n channels rows frames"]
    """Noise or velocity, whichever the teacher predicts."""
    timesteps: Int[Tensor, " n"]
    embeddings: PromptEmbeddings
    guidance: Float[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.noisy)


class Examples:
    """Examples made of clips; ``guidance`` is a scale, or a range to choose from at random."""

    def __init__(
        self,
        clips: TrainingClips,
        table: EmbeddingTable,
        noise_schedule: NoiseSchedule,
        guidance: float | tuple[float, float],
        seed: int,
    ) -> None:
        self.clips, self.table, self.seed = clips, table, seed
        self.noise_schedule = noise_schedule
        self.guidance = guidance if isinstance(guidance, tuple) else (guidance, guidance)
        self._texts = torch.tensor(
            [[table.numbers[text] for text in texts] for texts in clips.texts]
        )

    def batch(self, numbers: Int[Tensor, " n"]) -> Batch:
        """The examples with these numbers."""
        chosen = [self._random_choices(number) for number in numbers.tolist()]
        rows, variants, timesteps, shares, noises = zip(*chosen, strict=True)
        clip, at, noise = torch.tensor(rows), torch.tensor(timesteps), torch.stack(noises)
        clean = self.clips.latents[clip].float()
        noisy = self.noise_schedule.add_noise(clean, noise, at)
        target = self.noise_schedule.exact_prediction(clean, noise, at)
        embeddings = self.table.embeddings(self._texts[clip, torch.tensor(variants)])
        low, high = self.guidance
        return Batch(noisy, target, at, embeddings, low + (high - low) * torch.tensor(shares))

    def _random_choices(self, number: int) -> tuple[int, int, int, float, Tensor]:
        """Clip, caption variant, timestep, position in the guidance range, and noise."""
        state = np.random.SeedSequence([self.seed, number]).generate_state(1)
        generator = torch.Generator().manual_seed(int(state[0]))
        clips, variants = self._texts.shape
        clip, variant, timestep = (
            int(torch.randint(size, (), generator=generator))
            for size in (clips, variants, self.noise_schedule.timesteps)
        )
        share = float(torch.rand((), generator=generator))
        noise = torch.randn(self.clips.latents.shape[1:], generator=generator)
        return clip, variant, timestep, share, noise
