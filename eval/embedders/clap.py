"""Embedder for LAION's CLAP (https://arxiv.org/abs/2211.06687), whichever package runs it.

``clap`` runs a checkpoint folder with transformers (``clap_folder.py``), ``laion-clap`` a .pt file
with its authors' package (``laion.py``). Both agree to 1e-6 on equal weights. The weights' SHA-256
is part of the embedder's identity, because a checkpoint's name does not identify its weights.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float

from dmm.embedders import EmbedderConfig, Identity
from dmm.errors import ModelError
from dmm.registry import load_text_embedder

from ..clip_audio import read_mono, resample
from ..windows import fill_windows, quantise_16_bit

if TYPE_CHECKING:
    from torch import Tensor
Item = TypeVar("Item")

SR = 48000
WINDOW_SAMPLES = 480_000
"""Length of CLAP's window: 10 s."""
BATCH = 8
"""Windows or texts per forward pass: more take more memory, and more time on a CPU."""
MAX_TOKENS = 77
"""Longest text in tokens; the rest is cut off, as in CLAP's training."""
CODE_VERSION = 2
"""Code version; increased when the same clip, weights and config give another vector."""
PROTOCOL_TEXTS = {
    "loop": "48 kHz mono, 16 bit, looped to 10 s; longer sound: mean of 10 s windows",
    "legacy": "48 kHz mono, 16 bit, whole copies then silence to 10 s; longer sound: mean of 10 s "
    "windows",
}


@runtime_checkable
class Encoder(Protocol):
    """Audio and text network with a shared space; rows need not have unit length."""

    dim: int
    logit_scale: float

    def encode_audio(self, batch: Sequence[Float[np.ndarray, "480000"]]) -> "Tensor":
        """(windows, dim) of audio at 48 kHz."""
        ...

    def encode_text(self, texts: list[str]) -> "Tensor":
        """(texts, dim); ModelError if there is no tokeniser."""
        ...


class Clap:
    """Embedder of a loaded CLAP checkpoint; its pickle holds only the location to load again."""

    def __init__(
        self,
        encoder: Encoder,
        identity: Identity,
        config: EmbedderConfig,
        device: str,
        weights: Path,
    ) -> None:
        self.encoder, self.identity, self.device = encoder, identity, device
        self.name, self.version = identity.name, identity.version
        self.protocol = PROTOCOL_TEXTS[identity.protocol]
        self.dim, self.logit_scale = encoder.dim, encoder.logit_scale
        self._arguments = (identity.name, weights, config, identity.version)

    def __reduce__(self) -> tuple[Any, ...]:
        return _load_in_worker, self._arguments

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; InputError names the first file that cannot be read."""
        return self._embed_mono_sounds(read_mono(path, SR) for path in audio_files)

    def embed_sounds(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32, of mono sounds at ``sr`` Hz."""
        return self._embed_mono_sounds(resample(sounds.astype(np.float32, copy=False), sr, SR))

    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; ModelError if the checkpoint has no tokeniser."""
        return self._unit_rows(self.encoder.encode_text, texts)

    def _embed_mono_sounds(
        self, sounds: Iterable[Float[np.ndarray, "_"]]
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows of mono sounds at 48 kHz: means over each one's windows."""
        counts: list[int] = []

        def all_windows() -> Iterator[np.ndarray]:
            for sound in sounds:
                clip_windows = fill_windows(
                    quantise_16_bit(sound), WINDOW_SAMPLES, self.identity.protocol
                )
                counts.append(len(clip_windows))
                yield from clip_windows

        rows = self._unit_rows(self.encoder.encode_audio, all_windows())
        means = [clip_windows.mean(0) for clip_windows in np.split(rows, np.cumsum(counts)[:-1])]
        return _normalised_rows(np.stack(means))

    def _unit_rows(self, encode: Any, items: Iterable[Any]) -> Float[np.ndarray, "n dim"]:
        """Unit rows by ``encode``, computed in batches."""
        import torch

        from dmm.devices import bf16_autocast

        # TF32 would cost a GPU's convolutions three of seven digits.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        cast = bf16_autocast(self.device, self.identity.precision == "bf16")
        with torch.inference_mode(), cast, exact:
            rows = [encode(batch).float().cpu() for batch in _batches(items, BATCH)]
        return _normalised_rows(torch.cat(rows).numpy())


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _normalised_rows(rows: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n dim"]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _load_in_worker(name: str, weights: Path, config: EmbedderConfig, version: str) -> Any:
    """Load the same embedder in another process; ModelError if its weights differ."""
    loaded = load_text_embedder(name, weights, config.protocol, config.precision, config.device)
    if loaded.version != version:
        raise ModelError(
            f"{weights}: holds other weights on a worker ({loaded.version}, here {version}); give "
            "all machines the same folder"
        )
    return loaded
