"""The interface of models for mel images: checkpoints in PyTorch and bundles in ONNX Runtime."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..codec.mel import MelFormat
from .callbacks import OnStep, ignore_step
from .requests import ClipRequest
from .sampling import Sampling
from .settings import GenerationSettings


@dataclass(frozen=True)
class GeneratedImage:
    """A clip's mel image."""

    levels: np.ndarray
    """(rows, frames) or (rows, frames, 3), uint8."""
    overflowed: bool = False
    """Half precision overflowed, so the image was generated in full precision."""


@runtime_checkable
class ImageModel(Protocol):
    """A model on one device, loaded at first use; pickles without its weights."""

    @property
    def device(self) -> str:
        """The device that it runs on."""
        ...

    @property
    def precision(self) -> str:
        """The precision that the UNet computes in."""
        ...

    def identify(self) -> dict[str, Any]:
        """The model's part of a clip's JSON file."""
        ...

    @property
    def lora_names(self) -> list[str]:
        """Names of its LoRAs, for people."""
        ...

    def other_format_note(self, fmt: MelFormat) -> str | None:
        """Note on a mel format that it was not trained for; None if it may have been."""
        ...

    def settings(
        self,
        sampling: Sampling | None = None,
        format_name: str | None = None,
        anchor: str | None = None,
        stereo: bool | None = None,
    ) -> GenerationSettings:
        """Settings from the arguments, else as the model says, else defaults."""
        ...

    def generate_images(
        self,
        batch: Sequence[ClipRequest],
        settings: GenerationSettings,
        on_step: OnStep = ignore_step,
    ) -> list[GeneratedImage]:
        """One image a request, the same in any batch."""
        ...

    def truncation_notes(self, texts: Iterable[str]) -> Iterator[str]:
        """One line for each distinct text that its text encoders do not read to the end."""
        ...
