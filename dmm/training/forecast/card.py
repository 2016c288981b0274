"""Measurements of this GPU by ``dmm bench card``, from which ``--check`` forecasts the time.

The file ``card.json`` lies beside the settings that ``dmm doctor --set`` stores.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ...devices import device_name
from ...errors import InputError
from ...files import read_json, write_text
from ...machine_settings import settings_file
from ..facts import Facts
from ..rules.base import clips_per_step
from ..run_settings import RunSettings
from .duration import Calibration
from .memory.step import image_size

FILE = "card.json"
VERSION = 1


@dataclass(frozen=True)
class MeasuredTraining:
    """Speed and memory of a few real steps of one preset."""

    preset: str
    architecture: str
    width: int
    """Channels of the first level of the base's UNet."""
    clips: int
    """Clips of a step, of all its micro-batches."""
    pixels: int
    """Of one clip."""
    checkpointing: bool
    seconds_per_step: float
    peak_memory_mb: int
    forecast_memory_mb: int
    """Forecast of ``peak_memory_mb``."""

    @property
    def seconds_per_pixel(self) -> float:
        """Seconds for each pixel of a step."""
        return self.seconds_per_step / (self.clips * self.pixels)


@dataclass(frozen=True)
class MeasuredCard:
    """All trainings that were measured on one device."""

    device: str
    trainings: tuple[MeasuredTraining, ...]


def card_file() -> Path:
    """Path of the measurements of this machine; the file need not exist."""
    return settings_file().with_name(FILE)


def write_card_file(card: MeasuredCard, path: Path) -> None:
    """Write measurements, for ``read_card_file``."""
    write_text(path, json.dumps({"version": VERSION, **asdict(card)}, indent=1) + "\n")


def read_card_file(path: Path) -> MeasuredCard:
    """Read measurements; InputError for a file of another version or a damaged one."""
    found = read_json(path)
    try:
        if found["version"] != VERSION:
            raise InputError(f"{path}: of version {found['version']}; run dmm bench card again")
        trainings = tuple(MeasuredTraining(**entry) for entry in found["trainings"])
        return MeasuredCard(str(found["device"]), trainings)
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error}); run dmm bench card again") from error


def speed_by_card(settings: RunSettings, facts: Facts) -> Calibration | None:
    """Forecast a run's speed from a measurement on this device; None without a fitting one.

    The time of a step is proportional to its pixels. A measurement fits if the architecture, the
    UNet's width and gradient checkpointing are equal. One of the same preset is preferred, then
    one of the nearest image size.
    """
    if not card_file().is_file() or facts.base is None:
        return None
    card = read_card_file(card_file())
    same = (facts.architecture, facts.base.width, bool(settings["gradient_checkpointing"]))
    fitting = [
        training
        for training in card.trainings
        if (training.architecture, training.width, training.checkpointing) == same
    ]
    if card.device != device_name() or not fitting:
        return None
    width, height = image_size(facts)
    pixels = width * height
    by_likeness = sorted(fitting, key=lambda t: (t.preset != settings.name, abs(t.pixels - pixels)))
    near = by_likeness[0]
    seconds = near.seconds_per_pixel * clips_per_step(settings, facts) * pixels
    source = f"{card.device}, by dmm bench card with {near.preset}"
    return Calibration(seconds, near.peak_memory_mb, source, measured=False)
