"""Train a LoRA: check the whole configuration, then run sd-scripts with our trainer on a DATASET.

``dmm train PRESET --dataset DATASET --base MODEL --out RUN`` leaves a RUN folder: the resolved
preset, ``run.json``, ``RUN.md``, ``NAME.safetensors``, ``metrics.jsonl``, previews and states.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .engine import set_up_engine
from .errors import DmmError
from .files import write_text
from .training.card.card import write_card
from .training.card.curve import write_curve
from .training.engine_run import read_outcome, run_trainer
from .training.plan import Plan, make_plan, record, write_plan
from .training.resuming import (
    changed_settings,
    refuse_other_base,
    refuse_to_overwrite,
    state_to_resume,
)
from .training.rules.find import refuse


def train(
    preset: str,
    dataset: Path,
    base: Path,
    out: Path,
    settings: Sequence[str] = (),
    name: str = "lora",
    resume: bool = False,
    from_weights: Path | None = None,
    processes: int = 1,
) -> Path:
    """Train a LoRA on a DATASET folder's train and reg splits; returns the LoRA's path.

    ``settings`` are ``key=value`` words over the preset. With ``resume`` the newest state in the
    RUN folder is continued up to ``max_train_steps``, counted from the very first step; other
    settings may have changed. ``from_weights`` begins from a LoRA of any rank. PresetError,
    InputError, ModelError or EngineError in one line if something does not hold; KeyboardInterrupt
    after ctrl-C, with a state saved.
    """
    plan = make_plan(preset, dataset, base, settings)
    for finding in refuse(plan.settings, plan.facts):
        print(finding, file=sys.stderr)
    state = state_to_resume(out) if resume else None
    if state:
        changed = changed_settings(out, plan.settings.stated)
    else:
        refuse_to_overwrite(out)
        changed = {}
    facts = record(
        plan,
        {
            "name": name,
            "resumed_from": str(state) if state else None,
            "from_weights": str(from_weights) if from_weights else None,
            "changed": changed,
        },
    )
    refuse_other_base(out, facts["base_sha256"])
    engine = set_up_engine()
    write_plan(plan, out, name, state, _starting_weights(plan, out, from_weights))
    _write_record(out, facts, {"status": "started"})
    try:
        outcome = run_trainer(engine, out, processes)
    except BaseException:
        _write_record(out, facts, {"status": "failed"} | read_outcome(out))
        raise
    _write_record(out, facts, outcome)
    _describe(out)
    return out / f"{name}.safetensors"


def _starting_weights(plan: Plan, out: Path, source: Path | None) -> Path | None:
    """The LoRA to begin from at this run's rank, in the RUN folder."""
    if source is None:
        return None
    from .training.starting_weights import fit_rank

    settings = plan.settings
    words = dict(word.split("=", 1) for word in settings["network_args"] or ())
    conv_rank = int(words["conv_dim"]) if "conv_dim" in words else None
    conv_alpha = float(words.get("conv_alpha", 1))
    target = out / "state" / "start.safetensors"
    fit_rank(
        source, target, settings["network_dim"] or 4, float(settings["network_alpha"]),
        conv_rank, conv_alpha,
    )  # fmt: skip
    return target


def _write_record(out: Path, facts: dict[str, Any], outcome: dict[str, Any]) -> None:
    write_text(out / "run.json", json.dumps(facts | outcome, indent=2) + "\n")


def _describe(out: Path) -> None:
    """The run card; a run that trained well does not fail for want of a picture."""
    try:
        write_curve(out)
        write_card(out)
    except DmmError as error:
        print(f"warning: no run card ({error})", file=sys.stderr)
