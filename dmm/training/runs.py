"""Read a RUN folder back, however its training ended.

A run may be killed at any moment, so any file may be missing, and the last line of
``metrics.jsonl`` may be incomplete.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from ..files import read_json, read_jsonl, read_toml

MetricLine = dict[str, Any]
"""One line of ``metrics.jsonl``: a ``step`` and the values measured at it."""
RUN_FILES = ("run.json", "preset.toml", "engine.toml", "dataset.toml", "metrics.jsonl")
"""Files by which a RUN folder is recognised."""
ENDED = ("finished", "stopped")
"""Values of ``status`` of a run that reached its end; ``stopped`` is an early stop."""

RUN_STEPS = "dmm_run_steps"
"""Metadata key of a final LoRA with earlier weights, the best: the steps of its whole run."""


@dataclass(frozen=True)
class Run:
    """The contents of a RUN folder."""

    folder: Path
    record: dict[str, Any]
    """``run.json``, which overrides the trainer's ``outcome.json``."""
    preset: dict[str, Any]
    """The resolved settings; empty if they were never written."""
    lines: list[MetricLine]
    """``metrics.jsonl``, in its order."""

    @property
    def status(self) -> str:
        """Of ``run.json``: started, finished, stopped, interrupted or failed."""
        return str(self.record.get("status", "started"))

    @property
    def lora_name(self) -> str:
        """The LoRA's file name without its suffix."""
        return str(self.record.get("name") or "lora")


def read_run(folder: Path) -> Run:
    """Read a RUN folder; InputError if it has no ``run.json`` or its settings are not TOML."""
    if not (folder / "run.json").is_file():
        raise InputError(f"{folder}: not a training run (no run.json); name a folder of dmm train")
    record = _read_json_object(folder / "outcome.json") | read_record(folder)
    return Run(folder, record, read_settings(folder), read_metric_lines(folder / "metrics.jsonl"))


def read_record(folder: Path) -> dict[str, Any]:
    """``run.json``; empty if it is missing or incomplete."""
    return _read_json_object(folder / "run.json")


def read_settings(folder: Path) -> dict[str, Any]:
    """The resolved settings in a RUN folder, empty if there are none; InputError if damaged."""
    path = folder / "preset.toml"
    if not path.is_file():
        return {}
    return read_toml(path)


def read_metric_lines(path: Path) -> list[MetricLine]:
    """The lines of ``metrics.jsonl`` that are objects with a step; incomplete ones are skipped."""
    if not path.is_file():
        return []
    lines = read_jsonl(path, finite=False, skip_damaged=True)
    return [line for line in lines if _is_number(line.get("step"))]


def newest_state(folder: Path) -> Path | None:
    """The state with the highest step in a RUN folder; None without one."""
    return next(reversed(folders_by_step(folder / "state")), None)


def folders_by_step(parent: Path) -> list[Path]:
    """Folders such as ``step-000500`` in the order of their steps, which may have any digits."""
    return sorted(parent.glob("step-*"), key=lambda folder: (len(folder.name), folder.name))


def series(
    lines: Iterable[MetricLine], key: str
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """Steps and values (two arrays) of the lines with a number under ``key``, NaN included."""
    found = [(line["step"], line[key]) for line in lines if _is_number(line.get(key))]
    steps, values = np.array(found, dtype=float).reshape(-1, 2).T
    return steps, values


def last_value(lines: Iterable[MetricLine], key: str) -> Any:
    """The newest value under ``key``; None if there is none."""
    return next((line[key] for line in reversed(list(lines)) if key in line), None)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_json_object(path: Path) -> dict[str, Any]:
    """A JSON object; empty if the file is missing or incomplete."""
    try:
        return read_json(path, finite=False)
    except InputError:
        return {}
