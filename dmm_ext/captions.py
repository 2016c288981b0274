"""Strip the caption separator before tokenising; sd-scripts already keeps the anchor in front.

A dataset gives the anchor as ``caption_prefix = "anchor |||"``. sd-scripts keeps everything before
the separator in place while it shuffles, but strips the separator only then.
"""

from typing import Any

from library import train_util

from .patches import replace_class

SEPARATOR = "|||"


def without_separator(caption: str, separator: str = SEPARATOR) -> str:
    """The caption with separators turned into commas.

    >>> without_separator("mel spectrogram music ||| piano, slow")
    'mel spectrogram music, piano, slow'
    """
    return ", ".join(part.strip() for part in caption.split(separator) if part.strip())


class SeparatorFreeDataset(train_util.DreamBoothDataset):
    """The engine's dataset of images with caption files, whose captions have no separator."""

    def process_caption(self, subset: Any, caption: str) -> str:
        """Shuffle and drop parts as the subset states, then strip the separator."""
        return without_separator(super().process_caption(subset, caption))


def strip_separators_in(datasets: list[Any]) -> None:
    """Turn the engine's image datasets in the list into ``SeparatorFreeDataset``, in place."""
    for dataset in datasets:
        if type(dataset) is train_util.DreamBoothDataset:
            replace_class(dataset, SeparatorFreeDataset)
