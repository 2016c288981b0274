"""Diversity-preserving distribution matching (DP-DMD, https://arxiv.org/abs/2602.03139).

The first step, which decides most of a clip, learns the teacher's trajectory. Later steps follow
DMD's gradient (Yin et al. 2024, https://arxiv.org/abs/2405.14867): towards the teacher's
distribution and away from the student's own, which a second network follows. That gradient does not
reach the first step.
"""

import copy

import torch
from torch import Tensor, nn

from ..losses import errors
from .task import Objective, StepTask

LOW, HIGH = 0.02, 0.98
"""Range of timesteps, as a share of all, at which the two distributions are compared."""


class StudentAndFollower(nn.Module):
    """The student, and the network that learns the distribution of its clips."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student, self.follower = student, copy.deepcopy(student)


def dp_dmd_objective(task: StepTask) -> Objective:
    """Objective whose loss trains the first step, one later step and the follower on each batch."""
    schedule, part, noise_schedule = task.schedule, task.part, task.noise_schedule
    passes = max(1, part.teacher_steps // part.to)
    module = StudentAndFollower(task.student)
    low, high = (int(share * noise_schedule.timesteps) for share in (LOW, HIGH))

    def loss(generator: torch.Generator) -> Tensor:
        embeddings, noise = (
            task.embed(task.random_prompt_numbers(generator)),
            task.random_noise(generator),
        )
        student, teacher = (
            task.predictions_by(module.student, embeddings),
            task.predictions_by_teacher(embeddings),
        )
        first = torch.full((len(noise),), schedule.timesteps[0])
        target = schedule.teacher_target(teacher, noise, 0, passes)
        total = errors(student(noise, first), target).mean()
        if len(schedule) == 1:
            return total
        number = int(torch.randint(1, len(schedule), (), generator=generator))
        noisy = schedule.sample_to(student, noise, number)
        at = torch.full((len(noisy),), schedule.timesteps[number])
        clean = noise_schedule.clean_latents(student(noisy, at), noisy, at)

        fresh = task.random_noise(generator)
        when = torch.randint(low, high, (len(clean),), generator=generator)
        renoised = noise_schedule.add_noise(clean.detach(), fresh, when)
        followed = task.predictions_by(module.follower, embeddings)(renoised, when)
        with torch.no_grad():
            real = noise_schedule.clean_latents(teacher(renoised, when), renoised, when)
            fake = noise_schedule.clean_latents(followed, renoised, when)
            size = (clean - real).abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-6)
            matched = clean - (fake - real) / size
        matching = 0.5 * errors(clean, matched).mean()
        following = errors(
            followed, noise_schedule.exact_prediction(clean.detach(), fresh, when)
        ).mean()
        return total + matching + following

    return Objective(module, loss, "ddim-trailing")
