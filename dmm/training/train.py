"""Train a LoRA: check the whole configuration, then run sd-scripts with our trainer on a DATASET.

``dmm train PRESET --dataset DATASET --base MODEL --out RUN`` leaves a RUN folder: the resolved
preset, ``run.json``, ``RUN.md``, ``NAME.safetensors``, ``metrics.jsonl``, previews and states.
"""

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..engine import set_up_engine
from ..errors import DmmError, PresetError
from ..files import write_text
from .engine_run import read_outcome, run_trainer
from .plan import make_plan, record, write_plan
from .resuming import refuse_to_overwrite, resumed_record, state_to_resume
from .rules.check import refuse


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
) -> Path:
    """Train a LoRA on a DATASET folder's train and reg splits; returns the LoRA's path.

    ``settings`` are ``key=value`` words over the preset. With ``resume`` the newest state in the
    RUN folder is continued up to ``max_train_steps``, counted from the very first step; other
    settings may have changed. ``from_weights`` begins from a LoRA of any rank. PresetError,
    InputError, ModelError or EngineError in one line if something does not hold; KeyboardInterrupt
    after ctrl-C, with a state saved if a step was through.
    """
    dataset, base, out = Path(dataset), Path(base), Path(out)
    from_weights = Path(from_weights) if from_weights else None
    plan = make_plan(preset, dataset, base, settings)
    for finding in refuse(plan.settings, plan.facts):
        print(finding, file=sys.stderr)
    facts = record(plan, {"name": name, "processes": processes})
    state, start = None, None
    if resume:
        if from_weights:
            raise PresetError(
                "--resume goes on with the run's own weights: leave out --from-weights"
            )
        state = state_to_resume(out)
        facts |= resumed_record(out, state, facts, plan.settings.stated)
    else:
        refuse_to_overwrite(out)
        facts["from_weights"] = str(from_weights) if from_weights else None
        if from_weights:
            from .starting_weights import starting_weights  # brings torch with it

            start = starting_weights(
                from_weights, out / "state" / "start.safetensors", plan.settings, base, plan.format
            )
    engine = set_up_engine()
    write_plan(plan, out, name, state, start)
    _write_record(out, facts, {"status": "started"})
    try:
        outcome = run_trainer(engine, out, processes)
    except BaseException as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(DmmError):  # a full disk must not hide why it ended
            _write_record(out, facts, {"status": status} | read_outcome(out))
        raise
    _write_record(out, facts, outcome)
    _describe(out)
    return out / f"{name}.safetensors"


def _write_record(out: Path, facts: dict[str, Any], outcome: dict[str, Any]) -> None:
    write_text(out / "run.json", json.dumps(facts | outcome, indent=2) + "\n")


def _describe(out: Path) -> None:
    """The run card; a run that trained well does not fail for want of a picture."""
    from .run_card.card import write_card  # bring SciPy and matplotlib, which a typo
    from .run_card.curve import write_curve  # in a preset should not have to wait for

    try:
        write_curve(out)
        write_card(out)
    except DmmError as error:
        print(f"warning: no run card ({error})", file=sys.stderr)
