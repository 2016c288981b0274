"""``dmm distill all``: all parts of a preset, combined into one checkpoint, with a report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..checkpoints.architecture import Shapes, read_architecture
from ..errors import PresetError
from ..files import folder_lock
from ..generation.loading import Lora
from .decoder import layout_with_tiny_vae
from .few_steps.training import distil_steps
from .parts import (
    Sources,
    distil_unet,
    exists_with_origin,
    open_teacher,
    part_origin_metadata,
    train_text_encoder_part,
    train_tiny_vae_part,
)
from .presets import Preset
from .report import ReportOptions, write_report
from .teacher import Teacher
from .writing import distillation_metadata, generation_metadata, write_student

PARTS = ("unet", "steps", "text_encoder_1", "text_encoder_2", "decoder")
"""All parts, in the order of distillation."""
STUDENT = "student.safetensors"


def distil_all(
    checkpoint: Path,
    loras: Sequence[Lora],
    preset: Preset,
    sources: Sources,
    out: Path,
    options: ReportOptions,
) -> list[Path]:
    """Distil all parts into the folder ``out``; returns the paths of student and report.

    Finished parts are not made again. Errors as of each part; PresetError if the steps would be a
    LoRA; InputError if another command writes to the folder.
    """
    refuse_lora_of_steps(preset)
    sources = replace(sources, shared=out / "parts" / "shared")
    with sources.compute.in_main_process(folder_lock(out)):
        teacher = open_teacher(checkpoint, loras, sources)
        parts, student = out / "parts", out / STUDENT
        origin = _student_origin(teacher, preset, sources)
        unguided, base, base_loras = _distil_unet_and_steps(teacher, preset, sources, parts)
        if not exists_with_origin(student, origin):
            networks, shapes = _distil_encoders_and_decoder(
                teacher, read_architecture(base), preset, sources, parts
            )
            is_teacher = base == teacher.checkpoint  # else the file states its own settings
            stated = generation_metadata(teacher.settings) if is_teacher else {}
            if sources.compute.is_main:
                write_student(student, base, base_loras, networks, shapes, stated | origin)
        if not sources.compute.is_main:
            return []
        report = write_report(
            teacher, student, unguided, sources.dataset, out, options, sources.seed
        )
        return [student, report]


def refuse_lora_of_steps(preset: Preset) -> None:
    """PresetError if the steps would be a LoRA, which is no checkpoint for the other parts."""
    if preset.steps and preset.steps.rank:
        raise PresetError(
            f"preset {preset.name!r}: [steps] rank = {preset.steps.rank} makes a LoRA, and dmm "
            "distill all makes one checkpoint; set rank = 0, or leave out [steps] and make the "
            f"LoRA of the student: dmm distill steps --rank {preset.steps.rank}"
        )


def _student_origin(teacher: Teacher, preset: Preset, sources: Sources) -> dict[str, str]:
    """Metadata about the origin of the student and of each of its parts."""
    named = [part for part in PARTS if getattr(preset, part) is not None]
    parts = {part: part_origin_metadata(teacher, preset, part, sources) for part in named}
    return distillation_metadata(teacher.checkpoint, teacher.loras, preset=preset.name, parts=parts)


def _distil_unet_and_steps(
    teacher: Teacher, preset: Preset, sources: Sources, parts: Path
) -> tuple[Path, Path, tuple[Lora, ...]]:
    """Checkpoints with the student's UNet, before and after its steps are reduced.

    LoRAs that still belong to the second one are the third value.
    """
    unguided, loras = teacher.checkpoint, teacher.loras
    if preset.unet:
        path = parts / "unet.safetensors"
        unguided, loras = distil_unet(unguided, loras, preset, sources, path), ()
    if not preset.steps:
        return unguided, unguided, loras
    path = parts / "steps.safetensors"
    return unguided, distil_steps(unguided, loras, preset, sources, path), ()


def _distil_encoders_and_decoder(
    teacher: Teacher, shapes: Shapes, preset: Preset, sources: Sources, parts: Path
) -> tuple[dict[str, Any], Shapes]:
    """The preset's text encoders and decoder by name, and ``shapes`` with that decoder."""
    networks: dict[str, Any] = {}
    for which in (1, 2):
        if getattr(preset, f"text_encoder_{which}"):
            state = parts / "text.state"
            networks |= train_text_encoder_part(teacher, which, preset, sources, state)
    if preset.decoder:
        networks |= train_tiny_vae_part(teacher, preset, sources, parts / "decoder.state")
        layout = layout_with_tiny_vae(preset.decoder, teacher, shapes.custom)
        shapes = replace(shapes, custom=layout)
    return networks, shapes
