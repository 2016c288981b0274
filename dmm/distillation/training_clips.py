"""Clips that a student learns from: latents and captions.

They are a dataset's train split, or clips that the teacher generates from prompts: for a narrow
domain a few good samples teach more than many poor ones (BK-SDM, KOALA). Images and captions always
come from the same list of clips.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError
from ..fitting.state import fingerprint
from ..generation.grammar import grammar_names, load_grammar
from ..generation.mel_images import generate_latents
from ..generation.prompts import read_prompts
from ..generation.requests import clip_requests, with_anchor
from ..pretraining.latents import refresh_cached_latents
from ..pretraining.nano import (
    load_captions_and_anchor,
    load_images_and_captions,
    refuse_other_format,
    vary_captions,
)
from .shards import Shards
from .teacher import Teacher

CLIPS_AT_ONCE = 8
MOST_TEXTS = 20_000
"""Prompts of a grammar, where only texts are needed."""
SHARD = 64
"""Generated clips in a file."""


@dataclass(frozen=True)
class TrainingClips:
    """Latents with their captions."""

    latents: Float[Tensor, "n channels rows frames"]
    texts: list[list[str]]
    """Variants of each clip's caption, the same number for every clip."""

    @property
    def fingerprint(self) -> str:
        """A hash of latents and texts."""
        return fingerprint(self.latents, json.dumps(self.texts))


def load_clips(
    teacher: Teacher,
    dataset: Path | None,
    prompts: str | None,
    clips: int,
    variants: int,
    folder: Path,
    seed: int,
) -> TrainingClips:
    """Clips of a dataset, clips that the teacher generates from prompts, or both.

    ``prompts`` is a grammar's name or a file. InputError or PresetError for input that cannot be
    read, for a dataset of another mel format than the teacher's, and if neither is given.
    """
    found = []
    if dataset:
        found.append(clips_from_dataset(teacher, dataset, variants, folder, seed))
    if prompts:
        texts = prompt_texts(prompts, clips, seed)
        found.append(generate_teacher_clips(teacher, texts, clips, variants, folder, seed))
    if not found:
        raise InputError("no training data: name a --dataset, --prompts, or both")
    texts = [text for part in found for text in part.texts]
    return TrainingClips(torch.cat([part.latents for part in found]), texts)


def clips_from_dataset(
    teacher: Teacher,
    dataset: Path,
    variants: int,
    folder: Path,
    seed: int,
    split: str = "train",
) -> TrainingClips:
    """A split's latents by the teacher's VAE, with variants of its captions."""
    check_format(teacher, dataset)
    images, captions, anchor = load_images_and_captions(dataset, split, teacher.settings.stereo)
    latents = refresh_cached_latents(
        teacher.pipeline.vae, images, folder / "latents", teacher.compute
    )
    varied = [vary_captions(captions, anchor, seed + turn) for turn in range(variants)]
    return TrainingClips(latents, [list(texts) for texts in zip(*varied, strict=True)])


def load_texts(
    teacher: Teacher, dataset: Path | None, prompts: str | None, seed: int, variants: int = 2
) -> list[str]:
    """Caption variants of a dataset, and prompts of a grammar or file; errors as ``load_clips``."""
    found: list[str] = []
    if dataset:
        check_format(teacher, dataset)
        captions, anchor = load_captions_and_anchor(dataset)
        for turn in range(variants):
            found += vary_captions(captions, anchor, seed + turn)
    if prompts:
        found += [
            with_anchor(teacher.settings.anchor, text)
            for text in prompt_texts(prompts, MOST_TEXTS, seed)
        ]
    if not found:
        raise InputError("no training data: name a --dataset, --prompts, or both")
    return list(dict.fromkeys(found))


def check_format(teacher: Teacher, dataset: Path) -> None:
    """InputError if the dataset's mel format is not the teacher's."""
    refuse_other_format(dataset, teacher.settings.fmt.name, str(teacher.checkpoint))


def prompt_texts(prompts: str, count: int, seed: int) -> list[str]:
    """At most ``count`` prompts of a grammar, or those of a text file."""
    if prompts in grammar_names() or prompts.endswith(".toml"):
        return load_grammar(prompts).draw(count, seed)
    return read_prompts(Path(prompts))


def generate_teacher_clips(
    teacher: Teacher, texts: Sequence[str], clips: int, variants: int, folder: Path, seed: int
) -> TrainingClips:
    """Clips that the teacher generates with its default sampling, evenly over the prompts."""
    if not clips:
        raise InputError(
            "the preset has clips = 0: set the number that the teacher generates from --prompts"
        )
    repeats = -(-clips // len(texts))
    wanted = clip_requests(texts, repeats, seed)[:clips]
    facts = json.dumps([teacher.identity, str(teacher.settings), [str(r) for r in wanted]])
    name = hashlib.sha256(facts.encode()).hexdigest()[:32]
    shards = Shards(folder / f"clips-{name}", clips, SHARD)

    def make(numbers: range) -> dict[str, Tensor]:
        batch = [wanted[number] for number in numbers]
        with teacher.compute.autocast():
            return {"latents": generate_latents(teacher.pipeline, batch, teacher.settings)}

    shards.make_missing_files("generate teacher's clips", make, CLIPS_AT_ONCE, teacher.compute)
    latents = shards.rows(range(clips))["latents"]
    asked = [
        [with_anchor(teacher.settings.anchor, request.prompt)] * variants for request in wanted
    ]
    return TrainingClips(latents, asked)
