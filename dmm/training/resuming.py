"""What a resumed run may change, what it may not, and what it did change."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, PresetError
from .runs import newest_state, read_settings

FIXED = (
    "network_module", "network_dim", "network_alpha", "network_args", "network_train_unet_only",
    "network_train_text_encoder_only", "optimizer_type",
)  # fmt: skip
"""A state holds weights and moments of just these sizes and kinds."""


def state_to_resume(run: Path) -> Path:
    """The newest state in a RUN folder; InputError if there is none."""
    state = newest_state(run)
    if state is None:
        raise InputError(
            f"{run}: no state to resume from; train with --set save_state=true "
            "--set save_every_n_steps=N"
        )
    return state


def refuse_to_overwrite(run: Path) -> None:
    """InputError if the folder holds a run already."""
    if any(run.glob("*.safetensors")) or newest_state(run):
        raise InputError(f"{run}: holds a run already; add --resume or name another folder")


def changed_settings(run: Path, settings: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Settings that differ from the run's so far, ``{key: [old, new]}``; None is unset.

    PresetError for one that a state cannot take.
    """
    before = read_settings(run)
    changed = {
        key: [before.get(key), settings.get(key)]
        for key in sorted({*before, *settings})
        if before.get(key) != settings.get(key)
    }
    if fixed := [key for key in FIXED if key in changed]:
        old, new = changed[fixed[0]]
        raise PresetError(
            f"{fixed[0]} is {old} in {run} and cannot become {new} on --resume; to go on with it, "
            "start another run from this one's LoRA: --from-weights LORA --out OTHER"
        )
    return changed


def refuse_other_base(run: Path, base_sha256: str) -> None:
    """InputError if the run so far was trained on another base."""
    path = run / "run.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if record.get("base_sha256", base_sha256) != base_sha256:
        raise InputError(
            f"{run}: was trained on another base ({record.get('base')}); name that one with --base"
        )
