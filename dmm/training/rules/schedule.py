"""Rules on the schedule of a run: steps, saved states, validation, previews, averaging, seed."""

from ..facts import Facts
from ..known_settings import did_you_mean
from ..lengths import clips_per_epoch, total_steps
from ..run_settings import RunSettings
from .base import Rule

LONG_RUN_STEPS = 1000
"""Half an hour and more on one GPU."""


def epochs_and_steps(settings: RunSettings, facts: Facts) -> str | None:
    """Report both epochs and steps as the length: the engine ignores the steps."""
    if settings["max_train_epochs"] is None or not settings.states("max_train_steps"):
        return None
    both = settings.quote("max_train_epochs", "max_train_steps")
    if facts.dataset is None:
        return f"{both}: the epochs would win; state one of them (--set max_train_epochs=)"
    steps, stated = total_steps(settings, facts.dataset), settings["max_train_steps"]
    if steps == stated:
        return None
    outcome = "never reached" if steps < stated else "exceeded"
    return (
        f"{both}: the epochs win and are {steps} steps of this dataset, so {stated} is {outcome}; "
        f"state one of them (--set max_train_epochs= --set max_train_steps={steps})"
    )


def early_stop_without_clips(settings: RunSettings, facts: Facts) -> str | None:
    """Report early stopping on a dataset without clips for validation."""
    if settings["early_stop_patience"] is None or facts.dataset is None or facts.dataset.n_val:
        return None
    return (
        f"{settings.quote('early_stop_patience')}: the dataset has no clips for validation; "
        "build it from more tracks, or remove it"
    )


def alarm_on_single_clips(settings: RunSettings, facts: Facts) -> str | None:
    """Report a collapse alarm on one clip per prompt, which has no diversity."""
    previews = settings["preview_every_n_steps"] is not None
    if not (settings["collapse_stop"] and previews and settings["preview_count"] < 2):
        return None
    return (
        f"{settings.quote('collapse_stop', 'preview_count')}: diversity within a prompt needs "
        "two clips of each; set preview_count = 2 or more"
    )


def unusable_preview_embedder(settings: RunSettings, facts: Facts) -> str | None:
    """Report a preview embedder that is unknown, or whose weights are missing or superfluous."""
    from ...registry import EMBEDDERS

    name, weights = settings["preview_embedder"], settings["preview_weights"]
    if settings["preview_every_n_steps"] is None:
        return None
    if name not in EMBEDDERS:
        known, hint = ", ".join(sorted(EMBEDDERS)), did_you_mean(name, EMBEDDERS)
        return f"{settings.quote('preview_embedder')}: known are {known}{hint}"
    if name in ("clap", "laion-clap") and weights is None:
        return (
            f"{settings.quote('preview_embedder')} needs its weights; set preview_weights to the "
            "folder or .pt file"
        )
    if name == "mel-stats" and weights is not None:
        return (
            f"{settings.quote('preview_weights')}: mel-stats has no weights; set preview_embedder "
            "too"
        )
    return None


def no_intermediate_state(settings: RunSettings, facts: Facts) -> str | None:
    """Report a long run that saves no resumable state."""
    total = total_steps(settings, facts.dataset)
    if total < LONG_RUN_STEPS or (
        settings["save_state"] and settings["save_every_n_steps"] is not None
    ):
        return None
    return (
        f"{total} steps without a saved state: a crash would lose all of them; set "
        f"save_state = true and save_every_n_steps = {total // 6}"
    )


def interval_beyond_the_end(settings: RunSettings, facts: Facts) -> str | None:
    """Report an interval longer than the run."""
    total = total_steps(settings, facts.dataset)
    keys = ("save_every_n_steps", "validate_every_n_steps", "preview_every_n_steps")
    late = [key for key in keys if (settings[key] or 0) > total]
    if not late:
        return None
    return f"{settings.quote(*late)}: not before the end at step {total}; lower it, or train longer"


def not_every_clip(settings: RunSettings, facts: Facts) -> str | None:
    """Report a run too short to see every training clip once."""
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


def batch_above_dataset(settings: RunSettings, facts: Facts) -> str | None:
    """Report a batch size above the number of clips in an epoch."""
    if facts.dataset is None:
        return None
    clips, batch = clips_per_epoch(settings, facts.dataset), settings["train_batch_size"]
    if batch <= clips:
        return None
    return (
        f"{settings.quote('train_batch_size')}: an epoch has {clips} clips, so no batch holds "
        "more; lower it"
    )


def no_validation_clips(settings: RunSettings, facts: Facts) -> str | None:
    """Report validation on a dataset without clips for it."""
    if settings["validate_every_n_steps"] is None or facts.dataset is None or facts.dataset.n_val:
        return None
    return (
        f"{settings.quote('validate_every_n_steps')} does nothing: the dataset has no clips for "
        "validation; build it from more tracks"
    )


def average_longer_than_the_run(settings: RunSettings, facts: Facts) -> str | None:
    """Report a moving average over more steps than the run has."""
    decay, total = settings["ema_decay"], total_steps(settings, facts.dataset)
    if decay is None or decay >= 1 or 1 / (1 - decay) <= total:
        return None
    return (
        f"{settings.quote('ema_decay')} averages over about {1 / (1 - decay):.0f} steps and the "
        f"run has {total}: the average lags behind all the way; {1 - 10 / total:.4g} is a tenth of "
        "the run"
    )


def no_seed(settings: RunSettings, facts: Facts) -> str | None:
    """Report an unset seed: the run could not be repeated."""
    if settings["seed"] is not None:
        return None
    return "seed is unset: the run cannot be repeated or compared; set seed = 0"


ERRORS: tuple[Rule, ...] = (
    epochs_and_steps,
    early_stop_without_clips,
    alarm_on_single_clips,
    unusable_preview_embedder,
)
WARNINGS: tuple[Rule, ...] = (
    no_intermediate_state,
    interval_beyond_the_end,
    not_every_clip,
    batch_above_dataset,
    no_validation_clips,
    average_longer_than_the_run,
    no_seed,
)
