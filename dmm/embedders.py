"""The interface of embedders: networks that turn sound, and some also text, into unit vectors.

The implementations are in ``eval.embedders``; ``dmm.registry`` finds them by name.
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
"""How a clip fills CLAP's ten seconds; see ``eval.windows``."""
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

    def refuse_choice(self, name: str) -> None:
        """InputError, for an embedder that works in one way only and on the CPU."""
        for field, usual in (("protocol", "loop"), ("precision", "fp32"), ("device", "auto")):
            value = getattr(self, field)
            if value != usual and (field, value) != ("device", "cpu"):
                raise InputError(
                    f"--{field} {value}: {name} has no choice of {field}; leave it out, or use "
                    "--embedder clap"
                )


@dataclass(frozen=True)
class Identity:
    """What made a set of vectors; stamped into every result, since others are not comparable."""

    name: str
    """The embedder's key in ``EMBEDDERS``."""
    weights_sha256: str | None
    """Of the weights file; of the shards' hashes in their order; None without weights."""
    backend: str
    """Packages that calculate, with versions: they move a vector in its seventh digit."""
    protocol: str
    precision: str
    code: int
    """Raised when our own code gives another vector."""

    @property
    def version(self) -> str:
        """Fit for the name of a folder; another one whenever a file gives another vector."""
        weights = [self.weights_sha256[:16]] if self.weights_sha256 else []
        return "-".join([*weights, self.protocol, self.precision, str(self.code)])


def backend(*packages: str) -> str:
    """Packages with their versions, as ``Identity.backend`` holds them."""
    return ", ".join(f"{name} {version_of(name)}" for name in packages)


@runtime_checkable
class Embedder(Protocol):
    """Turns sound into vectors whose cosines mean something; says what it is."""

    @property
    def name(self) -> str:
        """The key in ``EMBEDDERS``; printed beside every score."""
        ...

    @property
    def version(self) -> str:
        """``identity.version``: the key that vectors are cached under."""
        ...

    @property
    def identity(self) -> Identity:
        """All that its vectors depend on besides the clip."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def protocol(self) -> str:
        """How a file is prepared, in words: rate, channels, windows."""
        ...

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; DmmError if a file cannot be read."""
        ...


@runtime_checkable
class TextEmbedder(Embedder, Protocol):
    """An embedder that puts words into the same space, and takes sound from memory too."""

    @property
    def logit_scale(self) -> float:
        """What cosines of sound and words are multiplied by before a softmax over words."""
        ...

    def embed_sounds(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32, of mono sounds at ``sr`` Hz."""
        ...

    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; ModelError if the weights came without what reads words."""
        ...
