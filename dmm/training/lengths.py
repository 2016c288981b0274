"""Length of a training in clips, batches and steps, counted as sd-scripts counts them."""

from math import ceil

from .facts import DatasetFacts
from .run_settings import RunSettings


def clips_per_epoch(settings: RunSettings, data: DatasetFacts) -> int:
    """Clips in an epoch, regularisation and repeats included.

    sd-scripts uses as many regularisation clips as training clips: surplus ones are left out, too
    few are repeated (``train_util.DreamBoothDataset``).
    """
    repeats = data.repeats if settings["dataset_repeats"] is None else settings["dataset_repeats"]
    train = data.n_train * repeats
    if not (data.n_reg and settings["dataset_regularisation"]):
        return train
    needed = ceil(train / data.reg_repeats)
    return train + (needed * data.reg_repeats if needed <= data.n_reg else train)


def steps_per_epoch(settings: RunSettings, data: DatasetFacts, processes: int = 1) -> int:
    """Optimizer steps in an epoch, for images of one size; each process takes other batches."""
    batches = ceil(clips_per_epoch(settings, data) / settings["train_batch_size"])
    return ceil(batches / (settings["gradient_accumulation_steps"] * processes))


def total_steps(settings: RunSettings, data: DatasetFacts | None, processes: int = 1) -> int:
    """Optimizer steps of the run: of ``max_train_epochs`` if set, else ``max_train_steps``.

    Epochs are ignored while the dataset is unknown.
    """
    epochs = settings["max_train_epochs"]
    if epochs is None or data is None:
        return settings["max_train_steps"]
    return epochs * steps_per_epoch(settings, data, processes)
