"""``dmm distill unet``, ``text-encoder``, ``decoder``: write the teacher with one part distilled.

The training state is in ``OUT.state``, so a repeated command continues an interrupted one and does
nothing if the result exists.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..checkpoints.architecture import Shapes
from ..checkpoints.header import read_metadata
from ..choices import Offload
from ..errors import InputError, ModelError
from ..files import output_lock, sha256_file
from ..fitting.compute import ON_CPU, Compute
from ..generation.grammar import grammar_names
from ..generation.loading import Lora
from ..generation.sampling import Sampling
from ..pretraining.latents import refresh_cached_latents
from ..pretraining.nano import load_images_and_captions
from .decoder import layout_with_tiny_vae, train_tiny_vae
from .embedding_table import EmbeddingTable
from .presets import Preset, UnetPart, part_of
from .student_sizes import student_shapes
from .teacher import Teacher
from .text_encoder import train_text_encoder
from .training_clips import check_format, load_clips, load_texts
from .unet_training import train_unet
from .writing import distillation_metadata, generation_metadata, write_student


@dataclass(frozen=True)
class Sources:
    """Training data, seed and machine of a distillation."""

    dataset: Path | None = None
    prompts: str | None = None
    """A grammar's name, or a file of prompts."""
    seed: int = 0
    compute: Compute = ON_CPU
    offload: Offload = "none"
    """Teacher weights kept in main memory while unused, with a GPU."""
    shared: Path | None = None
    """Folder for latents and embeddings that several parts use; None is each part's own state."""

    def cache_folder(self, state: Path) -> Path:
        """The folder for latents and embeddings."""
        return self.shared or state

    @property
    def identity(self) -> str:
        """A hash of everything that decides the result, apart from teacher and preset."""
        dataset = sha256_file(self.dataset / "dataset.json") if self.dataset else None
        prompts = self.prompts
        if prompts and prompts not in grammar_names():  # a file
            prompts = sha256_file(Path(prompts))
        facts = [dataset, prompts, self.seed, self.compute.share_count, self.compute.precision]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def distil_unet(
    checkpoint: Path, loras: Sequence[Lora], preset: Preset, sources: Sources, out: Path
) -> Path:
    """Write the teacher with a smaller UNet that predicts without guidance what it does with it.

    ModelError for a teacher that is neither SD 1.5 nor SDXL; InputError for a dataset of another
    mel format, a state of another run, or another command that writes ``out``; PresetError for
    sizes that make no UNet.
    """
    part: UnetPart = part_of(preset, "unet")
    with sources.compute.in_main_process(output_lock(out)):
        teacher = open_teacher(checkpoint, loras, sources)
        origin = part_origin_metadata(teacher, preset, "unet", sources)
        if not exists_with_origin(out, origin):
            _train_and_write_unet(part, teacher, sources, out, origin)
    return out


def _train_and_write_unet(
    part: UnetPart, teacher: Teacher, sources: Sources, out: Path, origin: dict[str, str]
) -> None:
    shapes, state = student_shapes(part, teacher.shapes), state_folder(out)
    cache = sources.cache_folder(state)
    clips = load_clips(
        teacher, sources.dataset, sources.prompts, part.clips, part.variants, cache, sources.seed
    )
    texts = [text for variants in clips.texts for text in variants]
    table = EmbeddingTable(teacher, texts, cache)
    unet = train_unet(part, shapes, teacher, clips, table, state, sources.seed)
    scale = sum(part.guidance) / 2 if isinstance(part.guidance, tuple) else 1.0
    sampling = Sampling(part.sampler, part.sampling_steps, scale)
    write_in_main_process(
        teacher,
        out,
        {"unet": unet},
        shapes,
        generation_metadata(teacher.settings, sampling) | origin,
    )


def distil_text_encoder(
    checkpoint: Path,
    loras: Sequence[Lora],
    which: int,
    preset: Preset,
    sources: Sources,
    out: Path,
) -> Path:
    """Write the teacher with a text encoder of fewer layers; errors as ``distil_unet``."""
    with sources.compute.in_main_process(output_lock(out)):
        teacher = open_teacher(checkpoint, loras, sources)
        origin = part_origin_metadata(teacher, preset, f"text_encoder_{which}", sources)
        if not exists_with_origin(out, origin):
            networks = train_text_encoder_part(teacher, which, preset, sources, state_folder(out))
            metadata = generation_metadata(teacher.settings) | origin
            write_in_main_process(teacher, out, networks, teacher.shapes, metadata)
    return out


def train_text_encoder_part(
    teacher: Teacher, which: int, preset: Preset, sources: Sources, state: Path
) -> dict[str, Any]:
    """Train a text encoder of fewer layers; the key is the pipeline's name of it."""
    part = part_of(preset, f"text_encoder_{which}")
    texts = load_texts(teacher, sources.dataset, sources.prompts, sources.seed)
    latents = None
    if part.unet and sources.dataset:
        latents = images_and_latents(teacher, sources.dataset, sources.cache_folder(state))[1]
    encoder = train_text_encoder(part, which, teacher, texts, latents, state, sources.seed)
    return {list(teacher.shapes.text_configs())[which - 1]: encoder}


def distil_decoder(
    checkpoint: Path, loras: Sequence[Lora], preset: Preset, sources: Sources, out: Path
) -> Path:
    """Write the teacher with a tiny VAE; errors as ``distil_unet``."""
    with sources.compute.in_main_process(output_lock(out)):
        teacher = open_teacher(checkpoint, loras, sources)
        origin = part_origin_metadata(teacher, preset, "decoder", sources)
        if not exists_with_origin(out, origin):
            networks = train_tiny_vae_part(teacher, preset, sources, state_folder(out))
            own = layout_with_tiny_vae(part_of(preset, "decoder"), teacher, teacher.shapes.custom)
            shapes = replace(teacher.shapes, custom=own)
            metadata = generation_metadata(teacher.settings) | origin
            write_in_main_process(teacher, out, networks, shapes, metadata)
    return out


def train_tiny_vae_part(
    teacher: Teacher, preset: Preset, sources: Sources, state: Path
) -> dict[str, Any]:
    """Train a tiny VAE; the key is the pipeline's name of it."""
    if sources.dataset is None:
        raise InputError("a decoder is trained on images: name a --dataset")
    images, latents = images_and_latents(teacher, sources.dataset, sources.cache_folder(state))
    part = part_of(preset, "decoder")
    return {"vae": train_tiny_vae(part, teacher, images, latents, state, sources.seed)}


def images_and_latents(teacher: Teacher, dataset: Path, cache: Path) -> tuple[Any, Any]:
    """Images of the train split and the teacher's latents of them."""
    check_format(teacher, dataset)
    images, _, _ = load_images_and_captions(dataset, colours=teacher.settings.stereo)
    vae = teacher.pipeline.vae
    return images, refresh_cached_latents(vae, images, cache / "latents", teacher.compute)


def open_teacher(checkpoint: Path, loras: Sequence[Lora], sources: Sources) -> Teacher:
    """The teacher; InputError, before anything is computed, for a dataset of another mel format."""
    teacher = Teacher(checkpoint, loras, sources.compute, sources.offload)
    if sources.dataset:
        check_format(teacher, sources.dataset)
    return teacher


def state_folder(out: Path) -> Path:
    """The folder of a distillation's state."""
    return out.with_suffix(".state")


def exists_with_origin(out: Path, origin: dict[str, str]) -> bool:
    """Whether the file exists with this origin; ModelError if it exists with another."""
    if not out.is_file():
        return False
    metadata = read_metadata(out)
    if all(metadata.get(key) == value for key, value in origin.items()):
        return True
    raise ModelError(f"{out}: exists, with other settings; name another --out, or remove it")


def write_in_main_process(
    teacher: Teacher, out: Path, networks: dict[str, Any], shapes: Shapes, metadata: dict[str, str]
) -> None:
    """Write a student, in the main process only."""
    if teacher.compute.is_main:
        write_student(out, teacher.checkpoint, teacher.loras, networks, shapes, metadata)


def part_origin_metadata(
    teacher: Teacher, preset: Preset, part: str, sources: Sources
) -> dict[str, str]:
    """Metadata about a part's origin; the same command gives the same."""
    settings = hashlib.sha256(part_of(preset, part).model_dump_json().encode()).hexdigest()
    return distillation_metadata(
        teacher.checkpoint, teacher.loras, preset=preset.name, part=part, settings=settings,
        sources=sources.identity,
    )  # fmt: skip
