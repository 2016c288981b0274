"""How long a training is: clips, batches and steps, counted as sd-scripts counts them."""

from math import ceil

from .facts import DatasetFacts
from .presets import Resolved


def clips_per_epoch(settings: Resolved, data: DatasetFacts) -> int:
    """Clips that an epoch goes through, regularisation and repeats included.

    sd-scripts draws as many regularisation clips as training clips: too many are left out, too few
    are drawn again (``train_util.DreamBoothDataset``).
    """
    repeats = data.repeats if settings["dataset_repeats"] is None else settings["dataset_repeats"]
    train = data.n_train * repeats
    if not (data.n_reg and settings["dataset_regularisation"]):
        return train
    drawn_alone = ceil(train / data.reg_repeats)
    enough = drawn_alone <= data.n_reg
    return train + (drawn_alone * data.reg_repeats if enough else train)


def steps_per_epoch(settings: Resolved, data: DatasetFacts) -> int:
    """Optimizer steps in an epoch, for images of one size in one process."""
    batches = ceil(clips_per_epoch(settings, data) / settings["train_batch_size"])
    return ceil(batches / settings["gradient_accumulation_steps"])


def total_steps(settings: Resolved, data: DatasetFacts | None) -> int:
    """Optimizer steps of the run: ``max_train_epochs`` wins where it is set, as in the engine."""
    epochs = settings["max_train_epochs"]
    if epochs is None or data is None:
        return settings["max_train_steps"]
    return epochs * steps_per_epoch(settings, data)
