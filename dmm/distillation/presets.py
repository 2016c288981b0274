"""Distillation presets: TOML files with the sizes and the training of a student's parts.

``extends`` names another preset, whose tables are merged key by key; ``decoder = false`` removes a
part.
"""

import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from ..engine import ROOT
from ..errors import PresetError
from ..files import read_toml
from ..fitting.loop import Schedule

PRESETS = ROOT / "presets" / "distill"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Training(_Table):
    """Length and speed of a part's training."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    optimizer: Literal["adamw", "muon"] = "adamw"
    warmup: int = Field(default=50, ge=0)
    ema_decay: float = Field(default=0.995, ge=0, lt=1)

    def schedule(self) -> Schedule:
        """These settings for the training loop."""
        return Schedule(
            self.steps, self.batch_size, self.learning_rate, self.warmup, self.ema_decay,
            self.optimizer,
        )  # fmt: skip


class UnetSizes(_Table):
    """Sizes of a student's UNet; levels are in order from fine to coarse."""

    channels: tuple[int, ...] = Field(min_length=2)
    """Width of each level."""
    depths: tuple[int, ...]
    """Transformer blocks in each attention layer of a level; 0 for no attention."""
    layers: int = Field(default=2, ge=1)
    """ResNet blocks in each down block; up blocks have one more."""
    middle: Literal["attention", "resnet", "none"] = "attention"
    """Kind of the middle block."""
    groups: int = Field(default=32, ge=1)
    """Groups of every GroupNorm."""
    head_width: int = Field(default=64, ge=1)
    """Channels of an attention head."""
    time_width: int | None = None
    """Width of the timestep embedding; None is four times the first level's."""
    size_width: int = Field(default=256, ge=2)
    """Width of the embedding of each of SDXL's six size numbers."""
    context_width: int | None = None
    """Width that prompt embeddings are projected to before attention; None for no projection."""


class UnetLosses(_Table):
    """Losses of a student's UNet."""

    output: float = Field(default=1.0, ge=0)
    """Weight of the error to the teacher's guided prediction."""
    task: float = Field(default=0.0, ge=0)
    """Weight of the error to the true noise or velocity, without guidance."""
    features: float = Field(default=0.0, ge=0)
    """Weight of the error to the teacher's features."""
    of: Literal["self-attention", "blocks"] = "self-attention"
    """Features to compare: of self-attention layers (KOALA), or of whole blocks (BK-SDM)."""
    huber: float = Field(default=0.0, ge=0)
    """Pseudo-Huber threshold; 0 for squared errors."""
    weighting: Literal["uniform", "min-snr"] = "uniform"
    """By timestep; ``min-snr`` gives little weight to high noise, which decides tempo and
    instruments."""


class UnetPart(_Training):
    """Sizes and training of a student's UNet."""

    sizes: UnetSizes
    losses: UnetLosses = UnetLosses()
    start: Literal["inherit", "fresh"] = "inherit"
    """Start from the teacher's blocks and channels, or from random weights."""
    guidance: float | tuple[float, float] = 5.0
    """The teacher's guidance scale, or a range of scales that the student then reads."""
    store: int = Field(default=0, ge=0)
    """Examples whose teacher outputs are computed first and stored; 0 computes them in training."""
    clips: int = Field(default=0, ge=0)
    """Clips that the teacher generates from ``--prompts``."""
    variants: int = Field(default=2, ge=1)
    """Random variants of each caption: parts shuffled, some left out."""
    sampler: str = "dpm++-2m-karras"
    sampling_steps: int = Field(default=25, ge=1)
    """Default sampling steps in the student's metadata."""


class StepsPart(_Training):
    """Training for few-step sampling."""

    to: int = Field(default=4, ge=1)
    """UNet passes of a clip."""
    method: Literal["progressive", "dp-dmd", "consistency"] = "progressive"
    teacher_steps: int = Field(default=32, ge=1)
    """Steps of the teacher for a whole clip."""
    rank: int = Field(default=0, ge=0)
    """Rank of a LoRA to train; 0 trains all weights."""


class TextPart(_Training):
    """Size and training of a text encoder."""

    layers: int | None = Field(default=None, ge=2)
    """Number of layers."""
    ratio: float | None = Field(default=None, gt=0, le=1)
    """Number of layers as a share of the teacher's."""
    hidden: float = Field(default=1.0, ge=0)
    """Weight of the error of hidden states that the UNet attends to."""
    pooled: float = Field(default=1.0, ge=0)
    """Weight of the error of the pooled vector, if the UNet reads it."""
    unet: float = Field(default=0.0, ge=0)
    """Weight of the error of the teacher UNet's prediction."""


class DecoderPart(_Training):
    """Sizes and training of a tiny VAE."""

    widths: tuple[PositiveInt, ...] = (16, 64, 96, 128)
    """Channels of encoder and decoder at each resolution, from the image to the latents."""
    blocks: tuple[NonNegativeInt, ...] = (0, 4, 4, 4)
    """Residual blocks of encoder and decoder at each resolution, in the same order."""
    colours: Literal[1, 3] = 1
    """Channels of decoded images: 1 is grey, for mono sound."""
    crop: int = Field(default=128, ge=16)
    """Side of the square crops for training, pixels."""


class Preset(_Table):
    """All parts of a student; missing parts stay the teacher's."""

    name: str
    about: str = ""
    unet: UnetPart | None = None
    steps: StepsPart | None = None
    text_encoder_1: TextPart | None = None
    text_encoder_2: TextPart | None = None
    decoder: DecoderPart | None = None


def preset_names() -> list[str]:
    """Names of the presets in ``presets/distill``, sorted; ``base`` is no preset of its own."""
    return sorted(path.stem for path in PRESETS.glob("*.toml") if path.stem != "base")


def load_preset(name: str) -> Preset:
    """Load a preset by name or from a file; PresetError if it is invalid."""
    path = _find_preset_file(name)
    try:
        return Preset(name=path.stem, **_merged_tables(path))
    except ValidationError as error:
        # a misspelt key is also one that is missing: say the former
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        field = ".".join(map(str, first["loc"]))
        hint = _did_you_mean(str(first["loc"][-1])) if first["type"] == "extra_forbidden" else ""
        raise PresetError(f"{path}: {field}: {first['msg'].lower()}{hint}") from error


def override_part(preset: Preset, part: str, **values: Any) -> Preset:
    """The preset with other values in one part; None leaves a value unchanged.

    PresetError for a preset without the part, or a value out of range.
    """
    found = part_of(preset, part)
    stated = {key: value for key, value in values.items() if value is not None}
    if {"layers", "ratio"} & stated.keys():
        stated = {"layers": None, "ratio": None} | stated
    try:
        changed = type(found).model_validate(found.model_dump() | stated)
    except ValidationError as error:
        first = error.errors()[0]
        raise PresetError(f"{first['loc'][-1]}: {first['msg'].lower()}") from error
    return preset.model_copy(update={part: changed})


def part_of(preset: Preset, part: str) -> Any:
    """One part of a preset; PresetError if the preset lacks it."""
    found = getattr(preset, part)
    if found is None:
        raise PresetError(f"preset {preset.name!r} has no [{part}]; name another, or extend it")
    return found


def _find_preset_file(name: str, beside: Path | None = None) -> Path:
    stem = name.removesuffix(".toml")
    paths = [Path(name)] if name.endswith(".toml") else []
    paths += [folder / f"{stem}.toml" for folder in (beside, PRESETS) if folder]
    for path in paths:
        if path.is_file():
            return path
    raise PresetError(
        f"no distillation preset {name!r}; known: {', '.join(preset_names())}, or a .toml file"
    )


def _merged_tables(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A preset's tables over those of the preset that it extends."""
    if path in above:
        raise PresetError(f"{path}: extends itself")
    own = read_toml(path, error=PresetError)
    base = own.pop("extends", None)
    below = (
        _merged_tables(_find_preset_file(str(base), path.parent), (*above, path))
        if base is not None
        else {}
    )
    return {key: value for key, value in _merge_tables(below, own).items() if value is not False}


def _merge_tables(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        is_table = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merge_tables(below[key], value) if is_table else value
    return merged


def _did_you_mean(word: str) -> str:
    tables = (UnetPart, UnetSizes, UnetLosses, StepsPart, TextPart, DecoderPart, Preset)
    known = {field for table in tables for field in table.model_fields}
    found = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {found[0]!r}?" if found else ""
