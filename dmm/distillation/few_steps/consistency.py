"""Consistency distillation: all points of the teacher's trajectory predict the same clean latents.

Latent consistency models (Luo et al. 2023, https://arxiv.org/abs/2310.04378), with a pseudo-Huber
loss and without an averaged target network (Song & Dhariwal 2023, arXiv 2310.14189).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..losses import errors
from ..noise_schedule import Latents
from .schedule import Predict
from .task import Objective, StepTask, StudentOnly

POINTS = 50
"""Evenly spaced points of the trajectory: LCM's ``original_inference_steps``."""
SIGMA_DATA, TIMESTEP_SCALING = 0.5, 10.0
"""Of diffusers' LCMScheduler."""
HUBER = 0.03


def consistency_objective(task: StepTask) -> Objective:
    """Objective: the student agrees with itself at the point that one teacher step leads to."""
    assert task.latents is not None
    latents, noise_schedule = task.latents, task.noise_schedule
    gap = noise_schedule.timesteps // POINTS
    module = StudentOnly(task.student)

    def clean(predict: Predict, noisy: Latents, at: Int[Tensor, " n"]) -> Latents:
        skip, out = boundary_factors(at)
        found = noise_schedule.clean_latents(predict(noisy, at), noisy, at)
        return skip.to(noisy) * noisy + out.to(noisy) * found

    def loss(generator: torch.Generator) -> Tensor:
        numbers = task.random_prompt_numbers(generator)
        embeddings, noise = task.embed(numbers), task.random_noise(generator)
        points = torch.randint(1, POINTS + 1, (task.rows_per_micro_batch,), generator=generator)
        at, earlier = points * gap - 1, (points - 1) * gap - 1
        noisy = noise_schedule.add_noise(latents[numbers].to(noise), noise, at)
        student = task.predictions_by(module.student, embeddings)
        with torch.no_grad():
            by_teacher = noise_schedule.clean_latents(
                task.predictions_by_teacher(embeddings)(noisy, at), noisy, at
            )
            stepped = noise_schedule.ddim_step(by_teacher, noisy, at, earlier)
            is_clean = (earlier < 0).to(noisy.device)[:, None, None, None]
            target = torch.where(is_clean, stepped, clean(student, stepped, earlier.clamp(min=0)))
        return errors(clean(student, noisy, at), target, HUBER).mean()

    return Objective(module, loss, "lcm")


def boundary_factors(
    timesteps: Int[Tensor, " n"],
) -> tuple[Float[Tensor, "n 1 1 1"], Float[Tensor, "n 1 1 1"]]:
    """Factors of the noisy latents and of the prediction: 1 and 0 at timestep 0."""
    scaled = timesteps.float()[:, None, None, None] * TIMESTEP_SCALING
    spread = (scaled.square() + SIGMA_DATA**2).sqrt()
    return (SIGMA_DATA / spread).square(), scaled / spread
