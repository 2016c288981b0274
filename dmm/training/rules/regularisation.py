"""Rules on regularisation clips, and on repeats, which decide how many of them are used.

Each rule returns a sentence with the problem and its remedy, or None.
"""

from ..facts import DatasetFacts, Facts
from ..run_settings import RunSettings
from ..trainer_constants import MOST_REG_REPEATS
from .base import Rule, uses_regularisation


def repeats_only_move_epochs(settings: RunSettings, facts: Facts) -> str | None:
    """Report repeats that only move the ends of epochs, at a fixed number of steps.

    With regularisation clips, repeats decide how many of these are used.
    """
    data = facts.dataset
    if data is None or settings["dataset_repeats"] in (None, data.repeats):
        return None
    if uses_regularisation(settings, data) or settings["max_train_epochs"] is not None:
        return None
    return (
        f"{settings.quote('dataset_repeats')} only moves where epochs end: max_train_steps sets "
        "the length and there is no regularisation; for more passes over the clips raise "
        "max_train_steps"
    )


def regularisation_setting_without_effect(settings: RunSettings, facts: Facts) -> str | None:
    """Report a setting on regularisation clips if none are trained on.

    A preset may weigh them for the datasets that have some.
    """
    data = facts.dataset
    if data is None or uses_regularisation(settings, data):
        return None
    if not data.n_reg and not settings["dataset_regularisation"]:
        return (
            f"{settings.quote('dataset_regularisation')} does nothing: the dataset has no clips "
            "for regularisation; remove it"
        )
    if settings.is_stated_by_user("prior_loss_weight"):
        return (
            f"{settings.quote('prior_loss_weight')} does nothing: no regularisation clips take "
            "part; remove it"
        )
    return None


def unused_regularisation(settings: RunSettings, facts: Facts) -> str | None:
    """Report regularisation clips that sd-scripts never uses: one per clip and repeat is."""
    data = facts.dataset
    if data is None or not uses_regularisation(settings, data):
        return None
    repeats = settings["dataset_repeats"] or data.repeats
    used, available = data.n_train * repeats, data.n_reg * data.reg_repeats
    if available <= used:
        return None
    return (
        f"{available - used} of {available} regularisation clips would never be used: the engine "
        f"takes one for each of {used} training clips; set dataset_repeats = "
        f"{_repeats_that_use_all_regularisation(data)}"
    )


def overused_regularisation(settings: RunSettings, facts: Facts) -> str | None:
    """Report regularisation clips that are so few that the engine repeats each many times."""
    data = facts.dataset
    if data is None or not uses_regularisation(settings, data) or data.reg_repeats > 1:
        return None
    times = data.n_train / data.n_reg
    if times <= MOST_REG_REPEATS:
        return None
    return (
        f"each of {data.n_reg} regularisation clips is seen {times:.0f} times as often as a "
        "training clip, because they are half of all clips that the engine takes; add more of "
        "them, or set dataset_regularisation = false"
    )


def _repeats_that_use_all_regularisation(data: DatasetFacts) -> int:
    """Fewest repeats of the training clips at which every regularisation clip is used."""
    return -(-data.n_reg * data.reg_repeats // data.n_train) if data.n_train else 1


ERRORS: tuple[Rule, ...] = ()
WARNINGS: tuple[Rule, ...] = (
    repeats_only_move_epochs,
    regularisation_setting_without_effect,
    unused_regularisation,
    overused_regularisation,
)
