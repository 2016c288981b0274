"""``dmm distill all``: all parts of a preset, combined into one checkpoint, with a report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

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
from .writing import distillation_metadata, write_student

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

    Finished parts are not made again. Errors as of each part; InputError if another command writes
    to the folder.
    """
    sources = replace(sources, shared=out / "parts" / "shared")
    with sources.compute.in_main_process(folder_lock(out)):
        return _distil_parts(checkpoint, loras, preset, sources, out, options)


def _distil_parts(
    checkpoint: Path,
    loras: Sequence[Lora],
    preset: Preset,
    sources: Sources,
    out: Path,
    options: ReportOptions,
) -> list[Path]:
    teacher = open_teacher(checkpoint, loras, sources)
    named = [part for part in PARTS if getattr(preset, part) is not None]
    parts, student = out / "parts", out / STUDENT
    origins = {part: part_origin_metadata(teacher, preset, part, sources) for part in named}
    origin = distillation_metadata(checkpoint, teacher.loras, preset=preset.name, parts=origins)
    base, base_loras = checkpoint, teacher.loras
    if preset.unet:
        base = distil_unet(checkpoint, loras, preset, sources, parts / "unet.safetensors")
        base_loras = ()
    unguided = base
    if preset.steps:
        base = distil_steps(base, base_loras, preset, sources, parts / "steps.safetensors")
        base_loras = ()
    if not exists_with_origin(student, origin):
        networks, shapes = {}, open_teacher(base, (), sources).shapes
        for which in (1, 2):
            if f"text_encoder_{which}" in named:
                networks |= train_text_encoder_part(
                    teacher, which, preset, sources, parts / "text.state"
                )
        if preset.decoder:
            networks |= train_tiny_vae_part(teacher, preset, sources, parts / "decoder.state")
            shapes = replace(
                shapes, custom=layout_with_tiny_vae(preset.decoder, teacher, shapes.custom)
            )
        if sources.compute.is_main:
            write_student(student, base, base_loras, networks, shapes, origin)
    if not sources.compute.is_main:
        return []
    return [
        student,
        write_report(teacher, student, unguided, sources.dataset, out, options, sources.seed),
    ]
