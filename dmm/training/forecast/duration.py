"""How long a training takes, from three real steps of it.

``calibrate`` runs the trainer with the run's own settings, in a folder that is thrown away and on
a few of its clips. What follows for the whole: ``duration``.
"""

import shutil
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

import toml

from ...errors import EngineError
from ...files import write_text
from ..facts import Facts
from ..lengths import total_steps
from ..plan import VALIDATION_BATCH, Plan, write_plan
from ..presets import Resolved
from ..rules.base import in_force
from .disk import PROMPTS, moments

STEPS = 3
"""The first is slow (memory is claimed, kernels are chosen); the median of three is not."""
LEFT_OUT = (
    "max_train_epochs", "save_every_n_steps", "save_last_n_steps_state", "save_state",
    "save_state_on_train_end", "validate_every_n_steps", "early_stop_patience",
    "preview_every_n_steps",
)  # fmt: skip
"""Settings that three steps do without."""
VALIDATION_TIMESTEPS = 5
"""At how many timesteps ``dmm_ext.validation`` scores a clip."""


@dataclass(frozen=True)
class Calibration:
    """Three steps as they were measured."""

    seconds_per_step: float
    peak_memory_mb: int
    """Of the GPU if there is one, else of the whole process."""
    device: str


@dataclass(frozen=True)
class Duration:
    """Seconds of a whole training, without loading and caching."""

    steps: float
    validation: float
    """Estimated; so are previews, whose decoding and scoring come on top."""
    previews: float

    @property
    def total(self) -> float:
        """Seconds of all together."""
        return self.steps + self.validation + self.previews


def calibrate(plan: Plan, train: Callable[[Path], Mapping[str, Any]]) -> Calibration:
    """Run three steps of a plan without previews, validation and states; EngineError if they fail.

    ``train`` trains what a RUN folder says and returns its ``outcome.json``, as ``run_trainer``.
    """
    settings = plan.settings
    kept = {key: value for key, value in settings.stated.items() if key not in LEFT_OUT}
    short = replace(plan, settings=replace(settings, stated=kept | {"max_train_steps": STEPS}))
    batch = in_force(settings, plan.facts, "train_batch_size")
    clips = STEPS * batch * settings["gradient_accumulation_steps"]
    with tempfile.TemporaryDirectory(prefix="dmm-calibrate-") as folder:
        run = Path(folder)
        write_plan(short, run, "calibration", None, None)
        config = tomllib.loads((run / "dataset.toml").read_text(encoding="utf-8"))
        write_text(run / "dataset.toml", toml.dumps(few_clips(config, clips, run / "clips")))
        outcome = train(run)
    seconds = outcome.get("seconds_per_step")
    if not seconds:
        reason = outcome.get("reason") or "the trainer's messages stand above"
        raise EngineError(f"three steps to measure by did not come to their end: {reason}")
    return Calibration(seconds, outcome["peak_memory_mb"], outcome["device"])


def few_clips(config: Mapping[str, Any], count: int, folder: Path) -> dict[str, Any]:
    """A dataset configuration over copies of the first ``count`` clips of every subset.

    Three steps then do not wait until the latents of a whole dataset are cached. Subsets of a
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


def duration(settings: Resolved, facts: Facts, measured: Calibration) -> Duration:
    """Seconds of the whole training at the measured speed.

    Validations and previews go forward only. The base is frozen, so the way back costs as much as
    the way forward, and once more where checkpointed blocks are computed anew; from that follows
    what share of a step one way forward of one clip is.
    """
    steps, data = total_steps(settings, facts.dataset), facts.dataset
    batch = in_force(settings, facts, "train_batch_size")
    ways = 3 if settings["gradient_checkpointing"] else 2
    forward = measured.seconds_per_step / (batch * settings["gradient_accumulation_steps"] * ways)
    batches = ceil((data.n_val if data else 0) / VALIDATION_BATCH)
    scored = VALIDATION_BATCH * min(batches, settings["max_validation_steps"] or batches)
    drawn = (len(set(settings["preview_prompts"] or ())) or PROMPTS) * settings["preview_count"]
    guided = 2 if settings["preview_guidance"] > 1 else 1
    validations = moments(steps, settings["validate_every_n_steps"])
    previews = moments(steps, settings["preview_every_n_steps"], at_start=True)
    return Duration(
        steps=steps * measured.seconds_per_step,
        validation=validations * scored * VALIDATION_TIMESTEPS * forward,
        previews=previews * drawn * settings["preview_steps"] * guided * forward,
    )
