"""Seconds a step and peak memory of real training steps, beside forecast and stock sd-scripts."""

import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import toml

from dmm.engine import engine_environment, set_up_engine
from dmm.errors import EngineError
from dmm.files import read_json, read_toml, write_text
from dmm.training.engine_options import read_options
from dmm.training.engine_run import TRAINER, run_trainer
from dmm.training.forecast.card import MeasuredTraining
from dmm.training.forecast.duration import calibrate
from dmm.training.forecast.forecast import forecast
from dmm.training.forecast.memory.step import image_size
from dmm.training.rules.base import clips_per_step
from dmm.training.rules.check import warnings_or_error
from dmm.training.run_inputs import RunInputs, read_inputs

PRESETS = ("sdxl-24gb", "sdxl-16gb", "sdxl-12gb", "sdxl-24gb+batch-4", "sdxl-24gb+rank-64")
MIB = 2**20
NEEDS_GPU = ("AdamW8bit",)
"""Optimizers that are replaced by AdamW where torch sees no CUDA GPU."""


@dataclass(frozen=True)
class StockTraining:
    """The same steps by sd-scripts alone."""

    preset: str
    seconds_per_step: float
    peak_memory_mb: int


def inputs_of(preset: str, base: Path, data: Path) -> RunInputs:
    """Inputs of a preset as far as this machine can run it; PresetError if it cannot."""
    inputs = read_inputs(preset, data, base)
    if inputs.facts.device != "cuda" and inputs.settings["optimizer_type"] in NEEDS_GPU:
        inputs = read_inputs(preset, data, base, ["optimizer_type=AdamW"])
    warnings_or_error(inputs.settings, inputs.facts)
    return inputs


def measure_training(preset: str, base: Path, data: Path) -> MeasuredTraining:
    """Train three steps of a preset; EngineError if they fail."""
    inputs = inputs_of(preset, base, data)
    found = calibrate(inputs, partial(run_trainer, set_up_engine()))
    settings, facts = inputs.settings, inputs.facts
    figures = forecast(settings, facts, inputs.shapes, Path())
    on_gpu = facts.device == "cuda"
    expected = figures.memory.total if on_gpu else figures.ram.total
    width, height = image_size(facts)
    return MeasuredTraining(
        preset=preset,
        architecture=facts.architecture,
        width=facts.base.width or 0 if facts.base else 0,
        clips=clips_per_step(settings, facts),
        pixels=width * height,
        checkpointing=bool(settings["gradient_checkpointing"]),
        seconds_per_step=found.seconds_per_step,
        peak_memory_mb=found.peak_memory_mb,
        forecast_memory_mb=round(expected / MIB),
    )


def measure_stock(preset: str, base: Path, data: Path) -> StockTraining:
    """Train the same three steps by sd-scripts alone; EngineError if they fail."""
    found = calibrate(inputs_of(preset, base, data), _train_stock)
    return StockTraining(preset, found.seconds_per_step, found.peak_memory_mb)


def _train_stock(run: Path) -> Mapping[str, Any]:
    """Train from a RUN folder without our plugin's settings; an outcome as ``run_trainer`` has."""
    ours = {key for key, option in read_options().items() if option.owner == "plugin"}
    settings = {k: v for k, v in read_toml(run / "engine.toml").items() if k not in ours}
    write_text(run / "engine.toml", toml.dumps(settings))
    command = [sys.executable, "-m", f"{TRAINER}.stock", "--config_file", str(run / "engine.toml")]
    done = subprocess.run(command, env=engine_environment(set_up_engine()), stdout=sys.stderr)
    if done.returncode:
        raise EngineError(f"sd-scripts alone ended with exit code {done.returncode}; see above")
    found = read_json(run / "stock.json")
    return {
        "seconds_per_step": statistics.median(found["seconds"]),
        "peak_memory_mb": found["peak_memory_mb"],
        "device": "",
    }
