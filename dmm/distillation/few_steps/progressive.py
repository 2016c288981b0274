"""Progressive distillation: each step learns to end where many steps of the teacher end.

Salimans & Ho 2022 (https://arxiv.org/abs/2202.00512), directly to the wanted number of steps. The
noisy latents come from the student's own earlier steps, so a step learns to continue from their
errors too.
"""

import torch
from torch import Tensor

from ..losses import errors
from .task import Objective, StepTask, StudentOnly


def progressive_objective(task: StepTask) -> Objective:
    """Train one step a batch, chosen at random, on the output of the student's steps before it."""
    schedule, part = task.schedule, task.part
    passes = max(1, part.teacher_steps // part.to)
    module = StudentOnly(task.student)

    def loss(generator: torch.Generator) -> Tensor:
        number = int(torch.randint(len(schedule), (), generator=generator))
        embeddings = task.embed(task.random_prompt_numbers(generator))
        student, teacher = (
            task.predictions_by(module.student, embeddings),
            task.predictions_by_teacher(embeddings),
        )
        noisy = schedule.sample_to(student, task.random_noise(generator), number)
        target = schedule.teacher_target(teacher, noisy, number, passes)
        at = torch.full((len(noisy),), schedule.timesteps[number])
        return errors(student(noisy, at), target).mean()

    return Objective(module, loss, "ddim-trailing")
