"""Duration of a training, estimated from three real steps of it.

``calibrate`` runs the trainer with the run's own settings on a few of its clips, in a temporary
folder. ``estimate_duration`` scales the result up to the whole run.
"""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import toml

from ...errors import EngineError
from ...files import read_toml, write_text
from ..facts import Facts
from ..lengths import total_steps
from ..rules.base import clips_per_step
from ..run_inputs import RunInputs, write_engine_files
from ..run_settings import RunSettings
from ..trainer_constants import VALIDATION_BATCH, VALIDATION_TIMESTEPS
from .disk import clips_per_preview, times_due_or_last

CALIBRATION_STEPS = 3
"""The first is slow (memory is allocated, kernels are chosen); the median of three is not."""
NOT_CALIBRATED = (
    "max_train_epochs", "save_every_n_steps", "save_last_n_steps_state", "save_state",
    "save_state_on_train_end", "validate_every_n_steps", "early_stop_patience",
    "preview_every_n_steps",
)  # fmt: skip
"""Settings that are left out while calibrating."""


@dataclass(frozen=True)
class Calibration:
    """Speed and memory of a training, measured by real steps or forecast from others."""

    seconds_per_step: float
    peak_memory_mb: int
    """Of the GPU if there is one, else of the whole process."""
    device: str
    measured: bool = True
    """Whether steps of this run were timed; else it is forecast from ``dmm bench card``."""


@dataclass(frozen=True)
class DurationEstimate:
    """Seconds of a whole training, without loading and caching."""

    steps: float
    validation: float
    previews: float
    """Sampling only; decoding and scoring take extra time."""

    @property
    def total(self) -> float:
        """Seconds of all parts together."""
        return self.steps + self.validation + self.previews


def calibrate(inputs: RunInputs, train: Callable[[Path], Mapping[str, Any]]) -> Calibration:
    """Train three steps without previews, validation and states; EngineError if they fail.

    ``train`` trains from a RUN folder and returns its ``outcome.json``, like ``run_trainer``.
    """
    settings = inputs.settings
    kept = {key: value for key, value in settings.stated.items() if key not in NOT_CALIBRATED}
    stated = kept | {"max_train_steps": CALIBRATION_STEPS}
    short = replace(inputs, settings=replace(settings, stated=stated))
    clips = CALIBRATION_STEPS * clips_per_step(settings, inputs.facts)
    with tempfile.TemporaryDirectory(prefix="dmm-calibrate-") as folder:
        run = Path(folder)
        write_engine_files(short, run, "calibration", None, None)
        config = read_toml(run / "dataset.toml")
        write_text(run / "dataset.toml", toml.dumps(copy_first_clips(config, clips, run / "clips")))
        outcome = train(run)
    seconds = outcome.get("seconds_per_step")
    if not seconds:
        reason = outcome.get("reason") or "see the trainer's messages above"
        raise EngineError(f"the three steps of the calibration did not finish: {reason}")
    return Calibration(seconds, outcome["peak_memory_mb"], outcome["device"])


def copy_first_clips(config: Mapping[str, Any], count: int, folder: Path) -> dict[str, Any]:
    """Copy the first ``count`` clips of every subset; returns a configuration of the copies.

    So three steps need not wait until the latents of a whole dataset are cached. Subsets of a
    validation split are left out.
    """
    changed = deepcopy(dict(config))
    changed["datasets"] = [d for d in changed["datasets"] if not d.get("validation_split")]
    subsets = [subset for dataset in changed["datasets"] for subset in dataset["subsets"]]
    for number, subset in enumerate(subsets):
        clips = folder / str(number)
        clips.mkdir(parents=True)
        for image in sorted(Path(subset["image_dir"]).glob("*.png"))[:count]:
            for file in filter(Path.is_file, (image, image.with_suffix(".txt"))):
                shutil.copyfile(file, clips / file.name)
        subset["image_dir"] = str(clips)
    return changed


def estimate_duration(
    settings: RunSettings, facts: Facts, calibration: Calibration
) -> DurationEstimate:
    """Seconds of the whole training at the calibrated speed.

    A step is a forward pass and a backward pass of equal cost, because the base is frozen; gradient
    checkpointing adds a second forward pass. Validations and previews need forward passes only.
    """
    steps, data = total_steps(settings, facts.dataset), facts.dataset
    passes = 3 if settings["gradient_checkpointing"] else 2
    forward = calibration.seconds_per_step / (clips_per_step(settings, facts) * passes)
    batches = ceil((data.n_val if data else 0) / VALIDATION_BATCH)
    scored = VALIDATION_BATCH * min(batches, settings["max_validation_steps"] or batches)
    guided = 2 if settings["preview_guidance"] > 1 else 1
    validations = times_due_or_last(steps, settings["validate_every_n_steps"], at_start=True)
    previews = times_due_or_last(steps, settings["preview_every_n_steps"], at_start=True)
    per_preview = clips_per_preview(settings) * settings["preview_steps"] * guided * forward
    return DurationEstimate(
        steps=steps * calibration.seconds_per_step,
        validation=validations * scored * len(VALIDATION_TIMESTEPS) * forward,
        previews=previews * per_preview,
    )
