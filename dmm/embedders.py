"""Interface of embedders, which map audio, and some of them text, to unit vectors.

The implementations are in ``eval.embedders``; ``dmm.registry`` loads them by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from .errors import InputError

PROTOCOLS = ("loop", "legacy")
"""Ways to fill CLAP's window of ten seconds; see ``eval.windows``."""
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class EmbedderConfig:
    """Protocol, precision and device of an embedder; InputError for an unknown value."""

    protocol: str = PROTOCOLS[0]
    precision: str = PRECISIONS[0]
    device: str = "auto"
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``."""

    def __post_init__(self) -> None:
        known = {"protocol": PROTOCOLS, "precision": PRECISIONS}
        for name, values in known.items():
            if (value := getattr(self, name)) not in values:
                raise InputError(f"no {name} {value!r}; known: {', '.join(values)}")

    def refuse_non_defaults(self, name: str) -> None:
        """InputError unless all values are the defaults, or the device is the CPU.

        ``name`` is an embedder without these choices.
        """
        for field, default in (("protocol", "loop"), ("precision", "fp32"), ("device", "auto")):
            value = getattr(self, field)
            if value != default and (field, value) != ("device", "cpu"):
                raise InputError(
                    f"--{field} {value}: {name} has no choice of {field}; leave it out, or use "
                    "--embedder clap"
                )


@dataclass(frozen=True)
class Identity:
    """Identity of an embedder; part of every result, because others are not comparable."""

    name: str
    """Key in ``EMBEDDERS``."""
    weights_sha256: str | None
    """SHA-256 of the weights file, or of the joined hashes of several; None without weights."""
    backend: str
    """Packages with versions; they change a vector in its seventh digit."""
    protocol: str
    precision: str
    code: int
    """Version of our own code; increased whenever it gives other vectors."""

    @property
    def version(self) -> str:
        """Weights, protocol, precision and code version, as the name of a cache folder."""
        weights = [self.weights_sha256[:16]] if self.weights_sha256 else []
        return "-".join([*weights, self.protocol, self.precision, str(self.code)])


def backend(*packages: str) -> str:
    """Packages with their versions, for ``Identity.backend``."""
    return ", ".join(f"{name} {version_of(name)}" for name in packages)


@runtime_checkable
class Embedder(Protocol):
    """Maps audio files to unit vectors, whose cosines measure similarity."""

    @property
    def name(self) -> str:
        """Key in ``EMBEDDERS``; printed with every score."""
        ...

    @property
    def version(self) -> str:
        """``identity.version``, under which vectors are cached."""
        ...

    @property
    def identity(self) -> Identity:
        """Everything that the vectors depend on besides the clip."""
        ...

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        ...

    @property
    def protocol(self) -> str:
        """Words on how a file is prepared: sample rate, channels, windows."""
        ...

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; DmmError if a file cannot be read."""
        ...


Attributes = dict[str, dict[str, float]]
"""Attribute to label to probability.

The attributes are some of ``instrument``, ``genre``, ``tempo`` ("slow", "mid-tempo", "fast") and
``key`` ("C major" .. "B minor"); labels are in the words of captions.
"""


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """An embedder that also maps text to the same space, and accepts audio in memory."""

    @property
    def logit_scale(self) -> float:
        """Factor of the cosines of audio and text before a softmax over texts."""
        ...

    def embed_sounds(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32, of mono sounds at ``sr`` Hz."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; ModelError if the weights have no tokeniser."""
        ...


@runtime_checkable
class SoundClassifier(TextEmbedder, Protocol):
    """An embedder that has trained classifiers of musical attributes too."""

    def embed_and_classify(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> tuple[Float[np.ndarray, "n dim"], list[Attributes]]:
        """Rows as of ``embed_sounds``, and the attributes of each mono sound at ``sr`` Hz."""
        ...


def embed_and_classify(
    embedder: TextEmbedder, sounds: Float[np.ndarray, "n samples"], sr: int
) -> tuple[Float[np.ndarray, "n dim"], list[Attributes]]:
    """Embed mono sounds and classify them in one pass; no attributes without classifiers."""
    if isinstance(embedder, SoundClassifier):
        return embedder.embed_and_classify(sounds, sr)
    return embedder.embed_sounds(sounds, sr), []
