"""``dmm bench card``: how fast this machine trains and generates, beside forecasts and sd-scripts.

Measurements are made one after the other until the time is up. One that fails is reported with its
reason, and the others go on. ``card.json`` is kept for ``dmm train --check`` too.
"""

import gc
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dmm.devices import device_name
from dmm.errors import DmmError, InputError
from dmm.files import write_text
from dmm.training.forecast.card import MeasuredCard, MeasuredTraining, card_file, write_card_file

from ..random_base import write_base
from .networks import (
    Figure,
    measure_clap,
    measure_codec,
    measure_distillation,
    measure_generation,
    measure_vae,
)
from .noise_dataset import write_noise_dataset
from .trainings import PRESETS, StockTraining, measure_stock, measure_training

if TYPE_CHECKING:
    from rich.table import Table

CLIPS = 12
"""Of the dataset of noise: enough for three steps of a batch of four."""
OFF_BY = 0.1
"""Share by which memory may differ from its forecast before it is marked."""


@dataclass(frozen=True)
class MeasurementPlan:
    """What is measured, and with what."""

    base: Path | None = None
    """None writes a random SDXL 1.0."""
    format_name: str = "sdxl-512"
    presets: Sequence[str] = PRESETS
    student: str = "unet-330m"
    steps: int = 20
    """Of generation."""
    clap_layers: int | None = None
    """None is CLAP's own size."""
    minutes: float = 10.0


@dataclass
class Measurements:
    """What was measured so far."""

    device: str
    trainings: list[MeasuredTraining] = field(default_factory=list)
    stock: list[StockTraining] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    """Name of what could not be measured, and the reason."""

    def add(self, found: object) -> None:
        """Keep one result."""
        kinds: dict[type, list[Any]] = {
            MeasuredTraining: self.trainings, StockTraining: self.stock, Figure: self.figures,
        }  # fmt: skip
        kinds[type(found)].append(found)


def measure_card(plan: MeasurementPlan, out: Path) -> Measurements:
    """Measure this machine and write ``out``, and what ``--check`` needs beside its settings.

    InputError without a base where torch sees no GPU: SDXL would take hours there.
    """
    if plan.base is None and not torch.cuda.is_available():
        raise InputError("torch sees no GPU: name a --base to measure the CPU with, such as nano")
    measured, deadline = Measurements(device_name()), time.monotonic() + 60 * plan.minutes
    with tempfile.TemporaryDirectory(prefix="dmm-bench-card-") as folder:
        base = plan.base or Path(folder) / "random-sdxl.safetensors"
        if plan.base is None:
            write_base(base, "sdxl", tiny=False)
        data = write_noise_dataset(Path(folder) / "data", plan.format_name, CLIPS)
        for name, measure in _measurements(plan, base, data):
            if time.monotonic() > deadline:
                measured.missing[name] = f"{plan.minutes:g} minutes were over (--minutes)"
                continue
            try:
                for found in measure():
                    measured.add(found)
            except (DmmError, RuntimeError, OSError, subprocess.CalledProcessError) as error:
                measured.missing[name] = (str(error) or repr(error)).splitlines()[0]
            gc.collect()  # networks in reference cycles
            torch.cuda.empty_cache()  # trainings and distillation are processes of their own
            _write(measured, out)  # each time: what follows may be interrupted
    _write(measured, out)
    return measured


def _write(measured: Measurements, out: Path) -> None:
    """Write ``card.json``, and the trainings for ``--check``."""
    write_text(out, json.dumps(as_json(measured), indent=1) + "\n")
    if measured.trainings:
        write_card_file(MeasuredCard(measured.device, tuple(measured.trainings)), card_file())


def _measurements(
    plan: MeasurementPlan, base: Path, data: Path
) -> Iterator[tuple[str, Callable[[], Iterable[object]]]]:
    """Name and function of each measurement, the most wanted first."""
    for number, preset in enumerate(plan.presets):
        yield f"train {preset}", lambda p=preset: [measure_training(p, base, data)]
        if number == 0:
            yield f"sd-scripts {preset}", lambda p=preset: [measure_stock(p, base, data)]
    precisions = ("bf16", "fp16") if torch.cuda.is_available() else ("bf16", "fp32")
    for precision in precisions:
        yield (
            f"generate {precision}",
            lambda p=precision: measure_generation(base, plan.format_name, p, plan.steps),
        )
    yield "VAE", lambda: measure_vae(base, plan.format_name)
    yield "mel image to sound", lambda: measure_codec(plan.format_name)
    yield "distill", lambda: measure_distillation(base, data, plan.student)
    yield "CLAP", lambda: measure_clap(plan.clap_layers)


def as_json(measured: Measurements) -> dict[str, Any]:
    """All of it for ``card.json``."""
    return {
        "device": measured.device,
        "torch": torch.__version__,
        "trainings": [asdict(training) for training in measured.trainings],
        "sd-scripts": [asdict(training) for training in measured.stock],
        "figures": [asdict(figure) for figure in measured.figures],
        "not_measured": measured.missing,
    }


def rows(measured: Measurements) -> list[tuple[str, str, str]]:
    """Rows of the table: what, how fast, and a note."""
    lines = [
        (f"train {t.preset}", f"{t.seconds_per_step:.3g} s/step", _memory_note(t))
        for t in measured.trainings
    ]
    ours = {training.preset: training.seconds_per_step for training in measured.trainings}
    for stock in measured.stock:
        note = f"{stock.peak_memory_mb} MB"
        if stock.preset in ours:
            note += f"; ours takes {ours[stock.preset] / stock.seconds_per_step:.2f} times as long"
        lines.append((f"sd-scripts {stock.preset}", f"{stock.seconds_per_step:.3g} s/step", note))
    lines += [(f.name, f"{f.value:.3g} {f.unit}", f.note) for f in measured.figures]
    lines += [(name, "not measured", reason) for name, reason in measured.missing.items()]
    return lines


def _memory_note(training: MeasuredTraining) -> str:
    share = training.peak_memory_mb / training.forecast_memory_mb
    far = f"; more than {OFF_BY:.0%} off" if abs(share - 1) > OFF_BY else ""
    return (
        f"{training.peak_memory_mb} MB, {share:.2f} of the forecast of "
        f"{training.forecast_memory_mb} MB{far}"
    )


def table(measured: Measurements) -> "Table":
    """The rows as a table for the terminal."""
    from rich.table import Table

    shown = Table("", "measured", "", title=f"{measured.device}, torch {torch.__version__}")
    for row in rows(measured):
        shown.add_row(*row)
    return shown
