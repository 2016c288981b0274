"""Prompt and seed of a clip, read from the files beside it; pairs of clips with the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dmm.files import read_json, read_text, validated

PREVIEWS = "preview.json"


class _Part(BaseModel):
    prompt: str


class _Timeline(BaseModel):
    """The parts of a long piece, in its JSON file."""

    part: list[_Part]


class _DrawnPreviews(BaseModel):
    """Prompt and seed of each preview."""

    clips: list[tuple[str, int]]


class _PreviewFile(BaseModel):
    """Prompts and seeds of a training preview, in ``preview.json``."""

    drawn: _DrawnPreviews


@dataclass(frozen=True)
class Origin:
    """Prompt and seed of a clip: ID.json of CLIPS, ID.txt of a DATASET, a RUN's preview.json."""

    prompt: str | None
    seed: int | None


def read_origin(audio: Path) -> Origin:
    """Read the prompt and seed of an audio file; each is None if unknown."""
    record, caption = read_clip_json(audio), audio.with_suffix(".txt")
    if record:
        prompt, seed = _single_prompt_of(record), record.get("seed")
        return Origin(prompt, seed if isinstance(seed, int) else None)
    if caption.is_file():
        return Origin(read_text(caption).strip(), None)
    previews = audio.with_name(PREVIEWS)
    return _preview_origin(audio, previews) if previews.is_file() else Origin(None, None)


def read_clip_json(audio: Path) -> dict[str, Any]:
    """Read the record ID.json beside a clip; InputError if it is no JSON.

    Empty if there is none, or if the file holds something else than an object.
    """
    sidecar = audio.with_suffix(".json")
    record = read_json(sidecar, Any) if sidecar.is_file() else {}
    return record if isinstance(record, dict) else {}


def _single_prompt_of(record: dict[str, Any]) -> str | None:
    """The prompt of a clip, or of a long piece that has the same one throughout."""
    prompt = record.get("prompt")
    if "timeline" in record:
        timeline = validated(record["timeline"], "timeline", _Timeline)
        prompts = {part.prompt for part in timeline.part}
        prompt = prompts.pop() if len(prompts) == 1 else None
    return prompt if isinstance(prompt, str) else None


def _preview_origin(audio: Path, previews: Path) -> Origin:
    """Look up a training preview in preview.json by the seed at the end of its file name."""
    drawn = read_json(previews, _PreviewFile).drawn
    by_seed = {str(seed): Origin(prompt, seed) for prompt, seed in drawn.clips}
    return by_seed.get(audio.stem.rpartition("-")[2], Origin(None, None))


def pair_files_by_origin(
    before_files: Sequence[Path], after_files: Sequence[Path]
) -> list[tuple[int, int]]:
    """Pairs of indices of files with the same known prompt and seed, in the order of the second.

    Both are read from the files beside them. Each file is used once.
    """
    unmatched: dict[Origin, list[int]] = {}
    for index, path in enumerate(before_files):
        if None not in ((origin := read_origin(path)).prompt, origin.seed):
            unmatched.setdefault(origin, []).append(index)
    pairs = []
    for index, path in enumerate(after_files):
        if matches := unmatched.get(read_origin(path)):
            pairs.append((matches.pop(0), index))
    return pairs
