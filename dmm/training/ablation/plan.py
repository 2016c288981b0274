"""Which runs an ablation consists of, and whether their scores may be held against each other."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError, PresetError
from ...files import sha256_file

Settings = Mapping[str, Any]
Resolve = Callable[[str, Sequence[str]], Settings]
"""From a preset's name and ``key=value`` words to all that both state."""
VALIDATIONS = 10
"""How often a run is validated whose preset does not say."""
DEFAULT_STEPS = 1600
"""sd-scripts' own ``max_train_steps``."""
ALIKE = (
    "huber_validation",
    "max_validation_steps",
    *(f"preview_{name}" for name in ("prompts", "count", "steps", "guidance", "sampler", "seed")),
    *(f"preview_{name}" for name in ("embedder", "weights", "reference")),
)
"""Settings that scores depend on whatever was trained: they must agree between presets."""
RESERVED = (
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
)
"""Names that Windows keeps for devices."""


@dataclass(frozen=True)
class Planned:
    """One run of the queue."""

    preset: str
    seed: int
    folder: Path
    words: tuple[str, ...]
    """``key=value`` over the preset, the seed among them."""
    settings: Settings
    """All that the preset and the words state."""


@dataclass(frozen=True)
class Sources:
    """What all runs have in common."""

    dataset: Path
    base: Path
    dataset_sha256: str
    """Of its ``dataset.json``."""
    base_sha256: str


def stated_settings(preset: str, words: Sequence[str]) -> Settings:
    """What a preset and words over it state, as ``dmm train`` writes it to ``preset.toml``."""
    from ..presets import resolve

    return resolve(preset, words).stated


def read_sources(dataset: Path, base: Path) -> Sources:
    """The dataset and base by their hashes; InputError without clips to validate on."""
    if not (dataset / "dataset.json").is_file():
        raise InputError(f"{dataset}: not a dataset (no dataset.json); make one: dmm data build")
    if not any((dataset / "val").glob("*.png")):
        raise InputError(
            f"{dataset}: no clips in its val split, so no validation loss to compare; "
            "build it with dmm data build --val 0.1"
        )
    if not base.is_file():
        raise InputError(f"{base}: no such checkpoint; check the path")
    return Sources(dataset, base, sha256_file(dataset / "dataset.json"), sha256_file(base))


def plan(
    presets: Sequence[str], out: Path, seeds: int, settings: Sequence[str], resolve: Resolve
) -> list[Planned]:
    """The queue, all presets for one seed before the next; the first preset is the baseline.

    PresetError for what cannot be compared. A preset that does not validate gets
    ``validate_every_n_steps`` of a tenth of its steps.
    """
    if seeds < 1 or not presets:
        raise PresetError(f"1 or more presets and seeds are needed; got {len(presets)} and {seeds}")
    if len(set(presets)) < len(presets):
        raise PresetError(f"a preset is named twice among {', '.join(presets)}; name each once")
    if any(word.partition("=")[0].strip() == "seed" for word in settings):
        raise PresetError("seed: counted up by --seeds; leave it out of --set")
    queue = [
        _planned(preset, seed, out, (*settings, f"seed={seed}"), resolve)
        for seed in range(seeds)
        for preset in presets
    ]
    for other in queue[1 : len(presets)]:
        _check_comparable(queue[0], other)
    return queue


def safe_name(preset: str) -> str:
    """A folder name for a preset, of its own on any system.

    >>> safe_name("nano-cpu+min-snr"), safe_name("../Mine/a b.toml")
    ('nano-cpu+min-snr', 'mine-a-b-...')
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9+_-]{0,79}", preset) and preset not in RESERVED:
        return preset
    words = re.sub(r"[^a-z0-9+_]+", "-", preset.lower().removesuffix(".toml")).strip("-+_")
    return f"{words[:60] or 'preset'}-{hashlib.sha256(preset.encode()).hexdigest()[:8]}"


def _planned(
    preset: str, seed: int, out: Path, words: tuple[str, ...], resolve: Resolve
) -> Planned:
    settings = resolve(preset, words)
    if not settings.get("validate_every_n_steps"):
        every = max(1, int(settings.get("max_train_steps", DEFAULT_STEPS)) // VALIDATIONS)
        words = (*words, f"validate_every_n_steps={every}")
        settings = resolve(preset, words)
    return Planned(preset, seed, out / safe_name(preset) / f"seed-{seed}", words, settings)


def _check_comparable(baseline: Planned, other: Planned) -> None:
    for key in ALIKE:
        ours, theirs = other.settings.get(key), baseline.settings.get(key)
        if ours != theirs:
            raise PresetError(
                f"{key} is {ours!r} in {other.preset} and {theirs!r} in {baseline.preset}: their "
                f"scores could not be compared; set one for both with --set {key}=..."
            )
