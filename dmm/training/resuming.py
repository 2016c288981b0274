"""Resume a run: the settings that may change, those that may not, and a record of changes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoints.header import read_metadata
from ..errors import InputError, PresetError
from .runs import ENDED, RUN_STEPS, newest_state, read_record, read_run, read_settings

FIXED_IN_STATES = (
    "network_module", "network_dim", "network_alpha", "network_args", "network_train_unet_only",
    "network_train_text_encoder_only", "optimizer_type",
)  # fmt: skip
"""Settings that a state's weights and moments depend on."""
REMEDIES = {
    "base": "name that one with --base",
    "format": "resume with a dataset of that format, or start another run",
}


def state_to_resume(run: Path) -> Path:
    """The newest state in a RUN folder; InputError if there is none."""
    state = newest_state(run)
    if state is None:
        raise InputError(
            f"{run}: no state to resume from; train with --set save_state=true "
            "--set save_every_n_steps=N"
        )
    return state


def finished_lora(run: Path, name: str, steps: int) -> Path | None:
    """The run's LoRA if it has all ``steps`` or stopped early; None if training must go on.

    A run that stopped early goes on if it has a state.

    The LoRA takes its name at the very end, so it shows that a run ended even if the process was
    killed before it could record that.
    """
    lora = run / f"{name}.safetensors"
    if not lora.is_file():
        return None
    stopped = read_run(run).status == "stopped" and newest_state(run) is None
    return lora if _trained_steps(lora) >= steps or stopped else None


def finished_record(run: Path, lora: Path) -> dict[str, Any]:
    """``run.json`` of a finished run, completed from ``outcome.json`` and the LoRA's metadata."""
    found = read_run(run).record
    if found.get("status") not in ENDED:
        found = found | {"status": "finished", "reason": None}
    return {"step": _trained_steps(lora)} | found


def _trained_steps(lora: Path) -> int:
    """Steps of the run that wrote a final LoRA, whose weights may be those of an earlier step."""
    metadata = read_metadata(lora)
    return int(metadata.get(RUN_STEPS) or metadata.get("ss_steps", 0))


def refuse_to_overwrite(run: Path) -> None:
    """InputError if the folder already holds a LoRA or a state."""
    if any(run.glob("*.safetensors")) or newest_state(run):
        raise InputError(f"{run}: holds a run already; add --resume or name another folder")


def resumed_record(
    run: Path, state: Path, new_record: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Entries of ``run.json`` that a resume changes; they override the new record ``new_record``.

    ``resumed`` has an entry per resume: the state it continued ``from``, and what ``changed`` as
    ``{key: [before, after]}``, None for unset. Licences are those of all datasets. InputError or
    PresetError for a change that a state does not allow.
    """
    before = read_record(run)
    _refuse_another_source("base", before, new_record, run)
    _refuse_another_source("format", before, new_record, run)
    changed = changed_settings(run, settings)
    _refuse_other_processes(before, new_record, settings, run)
    for key in ("dataset", "dataset_sha256", "processes"):
        if before.get(key, new_record[key]) != new_record[key]:
            changed[key] = [before[key], new_record[key]]
    return {
        "from_weights": before.get("from_weights"),
        "licences": _larger_counts(before.get("licences") or {}, new_record["licences"]),
        "resumed": [*before.get("resumed", []), {"from": state.name, "changed": changed}],
    }


def changed_settings(run: Path, settings: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Settings that differ from the run's, as ``{key: [before, after]}``.

    PresetError for a change that a state does not allow.
    """
    before = read_settings(run)
    changed = {
        key: [before.get(key), settings.get(key)]
        for key in sorted({*before, *settings})
        if before.get(key) != settings.get(key)
    }
    if fixed := [key for key in FIXED_IN_STATES if key in changed]:
        old, new = changed[fixed[0]]
        raise PresetError(
            f"{fixed[0]} is {old} in {run} and cannot become {new} on --resume; "
            "start another run from this one's LoRA: --from-weights LORA --out OTHER"
        )
    return changed


def _refuse_another_source(
    what: str, before: Mapping[str, Any], new_record: Mapping[str, Any], run: Path
) -> None:
    """InputError if the run was trained on another base, or on images of another format."""
    key = {"base": "base_sha256", "format": "format"}[what]
    if before.get(key, new_record[key]) != new_record[key]:
        raise InputError(
            f"{run}: was trained on another {what} ({before.get(what)}, not {new_record[what]}); "
            f"{REMEDIES[what]}"
        )


def _refuse_other_processes(
    before: Mapping[str, Any],
    new_record: Mapping[str, Any],
    settings: Mapping[str, Any],
    run: Path,
) -> None:
    """PresetError if other processes would change the pace of a schedule of another library."""
    old, new = (record.get("processes", 1) for record in (before, new_record))
    if (schedule := settings.get("lr_scheduler_type")) and old != new:
        raise PresetError(
            f"--processes is {old} in {run} and cannot become {new} on --resume with "
            f"lr_scheduler_type = {schedule}, whose length does not follow it; add "
            f"--processes {old}"
        )


def _larger_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The larger count per licence, highest first: the datasets may share clips."""
    both = {key: max(one.get(key, 0), other.get(key, 0)) for key in {*one, *other}}
    return dict(sorted(both.items(), key=lambda item: (-item[1], item[0])))
