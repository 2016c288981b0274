"""The queue of an ablation's runs, and checks that their scores will be comparable."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError, PresetError
from ...files import sha256_file
from ..facts import DatasetFacts
from ..lengths import total_steps
from ..run_settings import RunSettings

Settings = Mapping[str, Any]
Resolve = Callable[[str, Sequence[str]], Settings]
"""Function of a preset's name and ``key=value`` words to all settings that they state."""
VALIDATIONS = 10
"""Number of validations in a run whose preset states no interval."""
MUST_AGREE = (
    "huber_validation",
    "max_validation_steps",
    *(f"preview_{name}" for name in ("prompts", "count", "steps", "guidance", "sampler", "seed")),
    *(f"preview_{name}" for name in ("embedder", "weights", "reference")),
)
"""Settings that scores depend on beside the training: they must agree between presets."""
RESERVED = (
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
)
"""Device names that Windows does not allow for folders."""


@dataclass(frozen=True)
class QueuedRun:
    """One run of the queue."""

    preset: str
    seed: int
    folder: Path
    words: tuple[str, ...]
    """``key=value`` words that override the preset, including the seed."""
    settings: Settings
    """Everything that the preset and the words state."""


@dataclass(frozen=True)
class Sources:
    """The dataset and base that all runs share, with their hashes."""

    dataset: Path
    base: Path
    dataset_sha256: str
    """Of its ``dataset.json``."""
    base_sha256: str


def stated_settings(preset: str, words: Sequence[str]) -> Settings:
    """Settings stated by a preset and words, as ``dmm train`` writes them to ``preset.toml``."""
    from ..presets import resolve

    return resolve(preset, words).stated


def read_sources(dataset: Path, base: Path) -> Sources:
    """Hash ``dataset.json`` and the base; InputError without them or without validation clips."""
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


def queue_runs(
    presets: Sequence[str],
    out: Path,
    seeds: int,
    settings: Sequence[str],
    resolve: Resolve,
    read_facts: Callable[[], DatasetFacts],
) -> list[QueuedRun]:
    """Queue all presets for one seed before the next seed; the first preset is the baseline.

    A preset without validation gets ``validate_every_n_steps`` of a tenth of its steps; the facts
    of the dataset are read if a preset states epochs. PresetError for presets that cannot be
    compared.
    """
    if seeds < 1 or not presets:
        raise PresetError(f"1 or more presets and seeds are needed; got {len(presets)} and {seeds}")
    if len(set(presets)) < len(presets):
        raise PresetError(f"a preset is named twice among {', '.join(presets)}; name each once")
    if any(word.partition("=")[0].strip() == "seed" for word in settings):
        raise PresetError("seed: counted up by --seeds; leave it out of --set")
    queue = [
        _queued_run(preset, seed, out, (*settings, f"seed={seed}"), resolve, read_facts)
        for seed in range(seeds)
        for preset in presets
    ]
    for other in queue[1 : len(presets)]:
        _check_comparable(queue[0], other)
    return queue


def safe_folder_name(preset: str) -> str:
    """A folder name for a preset: unique, and valid on any system.

    >>> safe_folder_name("nano-cpu+min-snr"), safe_folder_name("../Mine/a b.toml")
    ('nano-cpu+min-snr', 'mine-a-b-...')
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9+_-]{0,79}", preset) and preset not in RESERVED:
        return preset
    words = re.sub(r"[^a-z0-9+_]+", "-", preset.lower().removesuffix(".toml")).strip("-+_")
    return f"{words[:60] or 'preset'}-{hashlib.sha256(preset.encode()).hexdigest()[:8]}"


def _queued_run(
    preset: str,
    seed: int,
    out: Path,
    words: tuple[str, ...],
    resolve: Resolve,
    read_facts: Callable[[], DatasetFacts],
) -> QueuedRun:
    """The run of a preset and a seed; validation is added if the preset has none."""
    settings = resolve(preset, words)
    if not settings.get("validate_every_n_steps"):
        data = read_facts() if settings.get("max_train_epochs") else None
        steps = total_steps(RunSettings(preset, (), settings), data)
        every = max(1, steps // VALIDATIONS)
        words = (*words, f"validate_every_n_steps={every}")
        settings = resolve(preset, words)
    return QueuedRun(preset, seed, out / safe_folder_name(preset) / f"seed-{seed}", words, settings)


def _check_comparable(baseline: QueuedRun, other: QueuedRun) -> None:
    """PresetError if a setting differs that must be equal for all runs."""
    for key in MUST_AGREE:
        ours, theirs = other.settings.get(key), baseline.settings.get(key)
        if ours != theirs:
            raise PresetError(
                f"{key} is {ours!r} in {other.preset} and {theirs!r} in {baseline.preset}: their "
                f"scores could not be compared; set one for both with --set {key}=..."
            )
