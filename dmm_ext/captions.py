"""Captions with an anchor that stays in front while the rest is shuffled.

A dataset gives the anchor as ``caption_prefix = "anchor |||"``. sd-scripts keeps what stands
before the separator in place, but strips the separator only when it shuffles; here it never
reaches the tokeniser.
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


class AnchoredDataset(train_util.DreamBoothDataset):
    """The engine's dataset of images with caption files; takes an existing one over by class."""

    def process_caption(self, subset: Any, caption: str) -> str:
        """Shuffle and drop as the subset says, the anchor first, without separators."""
        return without_separator(super().process_caption(subset, caption))


def anchor(datasets: list[Any]) -> None:
    """Turn the engine's datasets into anchored ones, in place."""
    for dataset in datasets:
        if type(dataset) is train_util.DreamBoothDataset:
            replace_class(dataset, AnchoredDataset)
