"""Train a student's UNet to predict without guidance what its teacher predicts with guidance.

It then needs one pass a step instead of two (Meng et al. 2023, https://arxiv.org/abs/2210.03142).
Optional losses are the teacher's features and the usual task on the dataset.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints.architecture import Shapes
from ..checkpoints.networks import build_unet
from ..fitting.loop import fit
from ..fitting.plain_attention import use_plain_attention_on_cpu
from ..fitting.state import fingerprint
from .block_map import Names, feature_module_pairs, map_blocks
from .embedding_table import EmbeddingTable
from .examples import Examples
from .features import Projections, output_widths, recording_outputs
from .inheritance import inherit_weights
from .losses import errors, timestep_weights
from .noise_schedule import NoiseSchedule
from .presets import UnetPart
from .teacher import Teacher
from .teacher_outputs import LiveOutputs, Outputs, StoredOutputs
from .training_clips import TrainingClips
from .unet_prediction import unet_prediction

NUMBERS = 2**31
"""Number of examples if none is stored: so many that none occurs twice."""
STORING_BATCH = 16
"""Examples whose outputs are computed at once; guidance doubles the UNet's batch."""


class UNetAndProjections(nn.Module):
    """A student's UNet, and the projections of its features, which only training needs."""

    def __init__(self, unet: Any, teacher: Any, names: Names) -> None:
        """``names`` maps the student's modules whose features are trained to the teacher's."""
        super().__init__()
        self.unet, self.names = unet, names
        theirs = output_widths(teacher, list(names.values()))
        ours = output_widths(unet, list(names))
        self.projections = Projections(list(zip(ours, theirs, strict=True)))


def train_unet(
    part: UnetPart,
    shapes: Shapes,
    teacher: Teacher,
    clips: TrainingClips,
    table: EmbeddingTable,
    folder: Path,
    seed: int,
) -> Any:
    """Train a UNet of the student's ``shapes``; returns it with averaged weights.

    ``folder`` holds the state and stored outputs, so an interrupted training can be continued.
    PresetError if the student is wider than its teacher; InputError for a state of another run.
    """
    student = make_student(part, shapes, teacher, seed)
    noise_schedule = NoiseSchedule.of(teacher.prediction_type)
    examples = Examples(clips, table, noise_schedule, part.guidance, seed)
    outputs: Outputs = LiveOutputs(teacher, list(student.names.values()))
    if part.store:
        assert isinstance(outputs, LiveOutputs)
        outputs = StoredOutputs(outputs, examples, part.store, STORING_BATCH, folder)
        teacher.release_networks()
    loss = make_unet_loss(part, student, examples, outputs, teacher)
    data = fingerprint(teacher.identity, clips.fingerprint, part.model_dump_json(exclude={"steps"}))
    trained: Any = fit(
        "UNet", student, loss, part.schedule(), folder / "unet.pt", seed, teacher.compute, data=data
    )
    return trained.unet


def make_student(part: UnetPart, shapes: Shapes, teacher: Teacher, seed: int) -> UNetAndProjections:
    """The student before training; PresetError if it is wider than its teacher."""
    torch.manual_seed(seed)
    unet = build_unet(shapes)
    if part.start == "inherit":
        inherit_weights(unet, teacher.merged_unet())
    use_plain_attention_on_cpu(unet, teacher.compute.torch_device)
    others = teacher.pipeline.unet
    names: Names = {}
    if part.losses.features:
        names = feature_module_pairs(map_blocks(unet, others), unet, part.losses.of)
    return UNetAndProjections(unet, others, names)


def make_unet_loss(
    part: UnetPart,
    student: UNetAndProjections,
    examples: Examples,
    outputs: Outputs,
    teacher: Teacher,
) -> Callable[[torch.Generator], Tensor]:
    """The loss of one batch: errors of predictions and of features."""
    compute, losses, noise_schedule = teacher.compute, part.losses, examples.noise_schedule
    rows = compute.rows_per_share(part.batch_size)

    def loss(generator: torch.Generator) -> Tensor:
        numbers = torch.randint(part.store or NUMBERS, (rows,), generator=generator)
        batch = examples.batch(numbers)
        guided, theirs = outputs(numbers, batch)
        inputs = batch.noisy, batch.timesteps, batch.embeddings, batch.guidance
        with recording_outputs(student.unet, list(student.names)) as ours, compute.autocast():
            found = unet_prediction(student.unet, *inputs)
        error = losses.output * errors(found, guided.to(found), losses.huber)
        if losses.task:
            error = error + losses.task * errors(found, batch.target.to(found), losses.huber)
        snr = noise_schedule.snr(batch.timesteps)
        weights = timestep_weights(losses.weighting, snr, noise_schedule.prediction_type)
        error = error * weights.to(error)
        if student.names:
            error = error + losses.features * student.projections.errors(ours, theirs)
        return error.mean()

    return loss
