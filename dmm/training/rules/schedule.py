"""Rules on the course of a run: steps, learning rate, states, validation, previews, alarm."""

from ..facts import Facts
from ..lengths import clips_per_epoch, total_steps
from ..presets import Resolved, nearest
from .base import Rule, said, said_of_those_stated

LONG = 1000
"""Steps whose loss would hurt: half an hour and more on one card."""


def epochs_and_steps(settings: Resolved, facts: Facts) -> str | None:
    """The engine takes the epochs and forgets the steps."""
    if settings["max_train_epochs"] is None or not settings.states("max_train_steps"):
        return None
    both = said(settings, "max_train_epochs", "max_train_steps")
    if facts.dataset is None:
        return f"{both}: the epochs would win; state one of them (--set max_train_epochs=)"
    steps, stated = total_steps(settings, facts.dataset), settings["max_train_steps"]
    if steps == stated:
        return None
    word = "never reached" if steps < stated else "passed by"
    return (
        f"{both}: the epochs win and are {steps} steps of this dataset, so {stated} is {word}; "
        f"state one of them (--set max_train_epochs= --set max_train_steps={steps})"
    )


def stopping_without_validation(settings: Resolved, facts: Facts) -> str | None:
    """Nothing to be patient with."""
    stated = said_of_those_stated(
        settings, "early_stop_patience", "early_stop_min_delta", "max_validation_steps"
    )
    if settings["validate_every_n_steps"] is None and stated:
        return (
            f"{stated}: without effect unless validate_every_n_steps is set; set it, or remove "
            "these"
        )
    if settings["early_stop_patience"] is not None and facts.dataset and not facts.dataset.n_val:
        return (
            f"{said(settings, 'early_stop_patience')}: the dataset has no clips for validation; "
            "build it from more tracks, or remove it"
        )
    return None


def alarm_without_previews(settings: Resolved, facts: Facts) -> str | None:
    """An alarm that could never go off."""
    if not settings["collapse_stop"]:
        return None
    if settings["preview_every_n_steps"] is None:
        return (
            f"{said(settings, 'collapse_stop')}: the alarm hears previews; set "
            "preview_every_n_steps"
        )
    if settings["preview_count"] < 2:
        return (
            f"{said(settings, 'collapse_stop', 'preview_count')}: diversity within a prompt needs "
            "two clips of each; set preview_count = 2 or more"
        )
    return None


def embedder_of_previews(settings: Resolved, facts: Facts) -> str | None:
    """Loaded when the model is loaded already."""
    from ...registry import EMBEDDERS

    name, weights = settings["preview_embedder"], settings["preview_weights"]
    if settings["preview_every_n_steps"] is None:
        return None
    if name not in EMBEDDERS:
        known = ", ".join(sorted(EMBEDDERS))
        return f"{said(settings, 'preview_embedder')}: known are {known}{nearest(name, EMBEDDERS)}"
    if name in ("clap", "laion-clap") and weights is None:
        return (
            f"{said(settings, 'preview_embedder')} needs its weights; set preview_weights to the "
            "folder or .pt file"
        )
    if name == "mel-stats" and weights is not None:
        return (
            f"{said(settings, 'preview_weights')}: mel-stats has no weights; set preview_embedder "
            "too"
        )
    return None


def state_is_lost(settings: Resolved, facts: Facts) -> str | None:
    """What a crash costs."""
    total = total_steps(settings, facts.dataset)
    if total < LONG or (settings["save_state"] and settings["save_every_n_steps"] is not None):
        return None
    return (
        f"{total} steps without a state on the way: a crash would lose all of them; set "
        f"save_state = true and save_every_n_steps = {total // 6}"
    )


def interval_beyond_the_end(settings: Resolved, facts: Facts) -> str | None:
    """It would never come."""
    total = total_steps(settings, facts.dataset)
    keys = ("save_every_n_steps", "validate_every_n_steps", "preview_every_n_steps")
    late = [key for key in keys if (settings[key] or 0) > total]
    if not late:
        return None
    return f"{said(settings, *late)}: not before the end at step {total}; lower it, or train longer"


def not_every_clip(settings: Resolved, facts: Facts) -> str | None:
    """Too short a run for the dataset."""
    data = facts.dataset
    if data is None:
        return None
    repeats = settings["dataset_repeats"] or data.repeats
    per_step = settings["train_batch_size"] * settings["gradient_accumulation_steps"]
    steps = total_steps(settings, data)
    enough = -(-clips_per_epoch(settings, data) // (repeats * per_step))
    if steps >= enough:
        return None
    return (
        f"{steps} steps are too few for each training clip to be seen once; raise max_train_steps "
        f"to {enough} or more"
    )


def batch_above_dataset(settings: Resolved, facts: Facts) -> str | None:
    """The engine makes smaller batches then."""
    if facts.dataset is None:
        return None
    clips, batch = clips_per_epoch(settings, facts.dataset), settings["train_batch_size"]
    if batch <= clips:
        return None
    return (
        f"{said(settings, 'train_batch_size')}: an epoch has {clips} clips, so no batch holds "
        "more; lower it"
    )


def no_validation_clips(settings: Resolved, facts: Facts) -> str | None:
    """Validation that silently does not happen."""
    if settings["validate_every_n_steps"] is None or facts.dataset is None or facts.dataset.n_val:
        return None
    return (
        f"{said(settings, 'validate_every_n_steps')} does nothing: the dataset has no clips for "
        "validation; build it from more tracks"
    )


def preview_settings_alone(settings: Resolved, facts: Facts) -> str | None:
    """Prepared, but never drawn."""
    names = [
        key
        for key in settings.stated
        if key.startswith(("preview_", "collapse_")) and key != "collapse_stop"
    ]
    if settings["preview_every_n_steps"] is not None or not names:
        return None
    return (
        f"{said(settings, *names)}: without effect unless preview_every_n_steps is set; set it too"
    )


def average_longer_than_the_run(settings: Resolved, facts: Facts) -> str | None:
    """An average over more steps than there are."""
    decay, total = settings["ema_decay"], total_steps(settings, facts.dataset)
    if decay is None or decay >= 1 or 1 / (1 - decay) <= total:
        return None
    return (
        f"{said(settings, 'ema_decay')} averages over about {1 / (1 - decay):.0f} steps and the "
        f"run has {total}: the average lags behind all the way; {1 - 10 / total:.4g} is a tenth of "
        "the run"
    )


def no_seed(settings: Resolved, facts: Facts) -> str | None:
    """The run could not be repeated."""
    if settings["seed"] is not None:
        return None
    return "seed is unset: the run cannot be repeated or compared; set seed = 0"


ERRORS: tuple[Rule, ...] = (
    epochs_and_steps,
    stopping_without_validation,
    alarm_without_previews,
    embedder_of_previews,
)
WARNINGS: tuple[Rule, ...] = (
    state_is_lost,
    interval_beyond_the_end,
    not_every_clip,
    batch_above_dataset,
    no_validation_clips,
    preview_settings_alone,
    average_longer_than_the_run,
    no_seed,
)
