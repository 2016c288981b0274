"""``dmm distill steps``: a model, or a LoRA for it, that needs a few UNet passes a clip."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ...checkpoints.networks import build_unet
from ...files import output_lock
from ...fitting.loop import fit
from ...fitting.plain_attention import use_plain_attention_on_cpu
from ...fitting.state import fingerprint
from ...generation.conditioning import PromptEmbeddings
from ...generation.loading import Lora
from ...generation.mel_images import latent_shape
from ...generation.sampling import Sampling
from ...generation.settings import default_sampling
from ..embedding_table import EmbeddingTable
from ..parts import Sources, exists_with_origin, open_teacher, part_origin_metadata, state_folder
from ..presets import Preset, StepsPart, part_of
from ..teacher import Teacher
from ..training_clips import load_clips, load_texts
from ..writing import generation_metadata, write_student
from .consistency import consistency_objective
from .dp_dmd import dp_dmd_objective
from .lora import add_lora, write_lora
from .progressive import progressive_objective
from .task import Objective, StepTask

METHODS: dict[str, Callable[[StepTask], Objective]] = {
    "progressive": progressive_objective,
    "dp-dmd": dp_dmd_objective,
    "consistency": consistency_objective,
}
CLIPS = 2000
"""Clips that the model generates from --prompts, for methods that need latents."""


def distil_steps(
    model: Path, loras: Sequence[Lora], preset: Preset, sources: Sources, out: Path
) -> Path:
    """Write the model with a UNet for few steps, or a LoRA for it; the metadata name the sampler.

    The model itself is the teacher, with its default guidance; the result needs no guidance.
    Errors as ``distil_unet``.
    """
    part: StepsPart = part_of(preset, "steps")
    with sources.compute.in_main_process(output_lock(out)):
        teacher = open_teacher(model, loras, sources)
        origin = part_origin_metadata(teacher, preset, "steps", sources)
        if not exists_with_origin(out, origin):
            sampling = default_sampling(model, loras)
            _train_and_write_steps(part, teacher, sampling, sources, out, origin)
    return out


def _train_and_write_steps(
    part: StepsPart,
    teacher: Teacher,
    sampling: Sampling,
    sources: Sources,
    out: Path,
    origin: dict[str, str],
) -> None:
    """Train, and write the result in the main process; ``sampling`` is the teacher's."""
    state = state_folder(out)
    task = make_task(part, teacher, sources, sources.cache_folder(state), sampling)
    objective = METHODS[part.method](task)
    trained: Any = _fit_objective(objective, task, sources, state)
    if sources.compute.is_main:
        sampling = Sampling(objective.sampler, part.to, 1.0)
        metadata = generation_metadata(teacher.settings, sampling) | origin
        if part.rank:
            write_lora(out, trained.student, teacher, part.rank, metadata)
        else:
            networks = {"unet": trained.student}
            write_student(
                out, teacher.checkpoint, teacher.loras, networks, teacher.shapes, metadata
            )


def make_task(
    part: StepsPart, teacher: Teacher, sources: Sources, cache: Path, sampling: Sampling
) -> StepTask:
    """A task whose student is a copy of the teacher."""
    fmt, latents = teacher.settings.fmt, None
    if part.method == "consistency":
        clips = load_clips(teacher, sources.dataset, sources.prompts, CLIPS, 1, cache, sources.seed)
        texts, latents = [variants[0] for variants in clips.texts], clips.latents
    else:
        texts = load_texts(teacher, sources.dataset, sources.prompts, sources.seed)
    table = EmbeddingTable(teacher, texts, cache)
    numbers = torch.tensor([table.numbers[text] for text in texts])

    def embed(chosen: Int[Tensor, " n"]) -> PromptEmbeddings:
        return table.embeddings(numbers[chosen])

    unet = build_unet(teacher.shapes)
    unet.load_state_dict(teacher.merged_unet().state_dict())
    use_plain_attention_on_cpu(unet, teacher.compute.torch_device)
    torch.manual_seed(sources.seed)
    student = add_lora(unet, part.rank) if part.rank else unet
    shape = latent_shape(teacher.pipeline, fmt.n_mels, fmt.n_frames)
    identity = fingerprint(*texts, *([latents] if latents is not None else []))
    return StepTask(
        part, student, teacher, embed, len(texts), shape, sampling.guidance, identity, latents
    )


def _fit_objective(objective: Objective, task: StepTask, sources: Sources, state: Path) -> Any:
    part, compute = task.part, sources.compute
    settings = part.model_dump_json(exclude={"steps"})
    data = fingerprint(task.teacher.identity, task.identity, settings)
    name, path, loss = f"{part.to} steps", state / "steps.pt", objective.loss
    return fit(
        name,
        objective.module,
        loss,
        part.schedule(),
        path,
        sources.seed,
        compute,
        data=data,
    )
