"""Inputs and results that all methods of few-step distillation share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...generation.conditioning import PromptEmbeddings
from ..noise_schedule import Latents, NoiseSchedule
from ..presets import StepsPart
from ..teacher import Teacher
from ..unet_prediction import unet_prediction
from .schedule import FewStepSchedule, Predict


@dataclass(frozen=True)
class StepTask:
    """A student's UNet, the model that it is a copy of as its teacher, and training prompts."""

    part: StepsPart
    student: nn.Module
    teacher: Teacher
    embed: Callable[[Int[Tensor, " n"]], PromptEmbeddings]
    """Embeddings of the prompts with these numbers."""
    prompts: int
    """Number of prompts."""
    shape: tuple[int, ...]
    """(channels, rows, frames) of latents."""
    guidance: float
    """The teacher's guidance scale; 1 for a model that has learnt the guided prediction."""
    identity: str
    """A hash of prompts and latents."""
    latents: Float[Tensor, "n channels rows frames"] | None = None
    """Clips, numbered as the prompts are, for methods that need them."""

    @property
    def rows_per_micro_batch(self) -> int:
        """Clips of a micro-batch."""
        return self.teacher.compute.rows_per_share(self.part.batch_size)

    @property
    def noise_schedule(self) -> NoiseSchedule:
        """The noise schedule of student and teacher."""
        return NoiseSchedule.of(self.teacher.prediction_type)

    @property
    def schedule(self) -> FewStepSchedule:
        """The timesteps that the student is sampled at."""
        return FewStepSchedule.trailing(self.noise_schedule, self.part.to)

    def random_prompt_numbers(self, generator: torch.Generator) -> Int[Tensor, " n"]:
        """Numbers of a batch of prompts."""
        return torch.randint(self.prompts, (self.rows_per_micro_batch,), generator=generator)

    def random_noise(self, generator: torch.Generator) -> Latents:
        """Noise of a batch, on the training device."""
        noise = torch.randn((self.rows_per_micro_batch, *self.shape), generator=generator)
        return noise.to(self.teacher.compute.torch_device)

    def predictions_by(self, unet: Any, embeddings: PromptEmbeddings) -> Predict:
        """Predictions of a UNet in training, for these prompts."""
        scales = torch.full((len(embeddings),), self.guidance)

        def predict(noisy: Latents, timesteps: Int[Tensor, " n"]) -> Latents:
            with self.teacher.compute.autocast():
                return unet_prediction(unet, noisy, timesteps, embeddings, scales)

        return predict

    def predictions_by_teacher(self, embeddings: PromptEmbeddings) -> Predict:
        """Guided predictions of the teacher, for these prompts."""
        scales = torch.full((len(embeddings),), self.guidance)

        def predict(noisy: Latents, timesteps: Int[Tensor, " n"]) -> Latents:
            return self.teacher.guided_prediction(noisy, timesteps, embeddings, scales).to(noisy)

        return predict


@dataclass(frozen=True)
class Objective:
    """The network that a method trains, its loss, and the sampler for the result."""

    module: nn.Module
    """The student is its child ``student``."""
    loss: Callable[[torch.Generator], Tensor]
    sampler: str


class StudentOnly(nn.Module):
    """A module whose only child is the student."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student
