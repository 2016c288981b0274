"""Train a LoRA: check the whole configuration, then run sd-scripts with our trainer on a DATASET.

``dmm train PRESET --dataset DATASET --base MODEL --out RUN`` writes a RUN folder:
``NAME.safetensors``, ``run.json``, ``RUN.md``, ``metrics.jsonl``, ``curve.png``, the resolved
settings (``preset.toml``, ``dataset.toml``, ``engine.toml``), previews and states.
"""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..engine import set_up_engine
from ..errors import DmmError, PresetError
from ..files import folder_lock, write_text
from ..files.locks import Lock
from .cost import tariff_here
from .engine_run import read_outcome, run_trainer
from .forecast.disk import refuse_full_disk
from .lengths import total_steps
from .resuming import (
    finished_lora,
    finished_record,
    refuse_to_overwrite,
    resumed_record,
    state_to_resume,
)
from .rules.check import warnings_or_error
from .run_inputs import RunInputs, read_inputs, run_record, write_engine_files
from .runs import read_record


def train(
    preset: str,
    dataset: str | Path,
    base: str | Path,
    out: str | Path,
    settings: Sequence[str] = (),
    name: str = "lora",
    resume: bool = False,
    from_weights: str | Path | None = None,
    processes: int = 1,
    price: str | None = None,
    watts: float | None = None,
) -> Path:
    """Train a LoRA on a DATASET folder's train and reg splits; returns the LoRA's path.

    ``settings`` are ``key=value`` words that override the preset. ``resume`` continues the newest
    state in the RUN folder up to ``max_train_steps``, counted from the first step of the run; most
    other settings may have changed. For a run that has finished, it only writes run.json and
    RUN.md. ``from_weights`` starts from a LoRA of any rank. ``price`` (0.30/kWh or 0.25/h) and
    ``watts``, by default those of ``dmm doctor --set``, are for the costs in RUN.md. PresetError,
    InputError or ModelError for inputs that cannot be trained with, EngineError if sd-scripts
    fails. KeyboardInterrupt after ctrl-C, with a state saved if a step was finished.
    """
    dataset, base, out = Path(dataset), Path(base), Path(out)
    from_weights = Path(from_weights) if from_weights else None
    inputs = read_inputs(preset, dataset, base, settings)
    for warning in warnings_or_error(inputs.settings, inputs.facts):
        print(warning, file=sys.stderr)
    refuse_full_disk(inputs.settings, inputs.facts, inputs.shapes, out)
    costs = tariff_here(price, watts).record()
    record = run_record(inputs, {"name": name, "processes": processes, **costs})
    if resume and from_weights:
        raise PresetError("--resume continues with the run's weights: leave out --from-weights")
    with folder_lock(out) as lock:
        state, starting_weights = None, None
        if resume:
            total = total_steps(inputs.settings, inputs.facts.dataset, processes)
            if lora := finished_lora(out, name, total):
                print(
                    f"{out}: has finished already; run.json and RUN.md are written again",
                    file=sys.stderr,
                )
                _write_record(out, finished_record(out, lora), {})
                _write_curve_and_card(out)
                return lora
            state = state_to_resume(out)
            record["seconds"] = read_record(out).get("seconds", 0.0)
            record |= resumed_record(out, state, record, inputs.settings.stated)
        else:
            refuse_to_overwrite(out)
            record["from_weights"] = str(from_weights) if from_weights else None
            if from_weights:
                starting_weights = _write_starting_weights(from_weights, out, inputs)
        if inputs.settings["cache_latents_to_disk"]:
            from .latent_cache import record_latent_vae  # imports torch

            record_latent_vae(dataset, base)
        engine = set_up_engine()
        write_engine_files(inputs, out, name, state, starting_weights, processes)
        _run_and_record(engine, out, record, processes, lock)
        _write_curve_and_card(out)
    return out / f"{name}.safetensors"


def _write_starting_weights(lora: Path, out: Path, inputs: RunInputs) -> Path:
    """Write the weights to start from to the RUN folder, at the run's rank; returns their path."""
    from .starting_weights import write_starting_weights  # imports torch

    target = out / "state" / "start.safetensors"
    return write_starting_weights(lora, target, inputs.settings, inputs.base, inputs.format_name)


def _run_and_record(
    engine: Path, out: Path, record: dict[str, Any], processes: int, lock: Lock
) -> None:
    """Run the trainer, and record in ``run.json`` how it goes and how long it takes."""
    _write_record(out, record, {"status": "started"})
    earlier, started = record.get("seconds", 0.0), time.monotonic()
    try:
        outcome = run_trainer(engine, out, processes, lock.share_with)
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        record["seconds"] = earlier + time.monotonic() - started
        with suppress(DmmError):  # a full disk must not hide the reason
            _write_record(out, record, {"status": status} | read_outcome(out))
        raise
    record["seconds"] = earlier + time.monotonic() - started
    _write_record(out, record, outcome)


def _write_record(out: Path, record: dict[str, Any], outcome: dict[str, Any]) -> None:
    """Write ``run.json``: the record, overridden by the trainer's outcome."""
    write_text(out / "run.json", json.dumps(record | outcome, indent=2) + "\n")


def _write_curve_and_card(out: Path) -> None:
    """Write ``curve.png`` and ``RUN.md``; a failure is only a warning, since the LoRA is saved."""
    from .run_card.card import write_card  # these import SciPy and matplotlib, for which a typo
    from .run_card.curve import write_curve  # in a preset should not have to wait

    try:
        write_curve(out)
        write_card(out)
    except DmmError as error:
        print(f"warning: no run card ({error})", file=sys.stderr)
