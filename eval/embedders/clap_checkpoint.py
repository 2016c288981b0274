"""Read a .pt checkpoint of the laion-clap package without running code in it, and its sizes.

The released files are training states. They hold the learning rate as a NumPy number, which torch's
safe reader refuses unless NumPy's number types are allowed.
"""

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

import numpy as np

from dmm.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

NAMES: dict[tuple[int, tuple[int, ...]], str] = {
    (96, (2, 2, 6, 2)): "HTSAT-tiny",
    (128, (2, 2, 12, 2)): "HTSAT-base",
    (256, (2, 2, 12, 2)): "HTSAT-large",
}
"""Names of audio networks in the package laion-clap, by width and depths."""
HEAD_DIM = 64
"""Width of a head in every RoBERTa; the weights do not show the number of heads."""
PATCHES = "audio_branch.patch_embed.proj.weight"
FUSION = "audio_branch.patch_embed.mel_conv2d.weight"


@dataclass(frozen=True)
class ClapSizes:
    """Sizes of the audio and the text network."""

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    joint: int
    """Dimensions of an embedding."""
    vocabulary: int
    positions: int
    text_width: int
    text_layers: int
    text_inner: int

    @property
    def audio_network_name(self) -> str:
        """The package's name of the audio network; ModelError if it has none."""
        if (self.width, self.depths) not in NAMES:
            raise ModelError(
                f"unknown audio network of width {self.width} and depths {self.depths}; known: "
                f"{', '.join(NAMES.values())}"
            )
        return NAMES[self.width, self.depths]

    @property
    def text_heads(self) -> int:
        """Attention heads of the text network."""
        return max(1, self.text_width // HEAD_DIM)


def read_checkpoint(path: Path) -> dict[str, "Tensor"]:
    """Read a checkpoint's tensors by the package's names; ModelError for files with code or others.

    Tensors are memory-mapped, so that the optimizer's two thirds of a training state are not read.
    """
    import torch

    if not path.is_file():
        raise ModelError(f"{path}: no such file; name a .pt checkpoint of laion-clap")
    try:
        with torch.serialization.safe_globals(_numpy_globals()), catch_warnings():
            simplefilter("ignore")  # of another pickle protocol; unreadable files raise
            raw: Any = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: refused, because it holds more than tensors ({_refusal_sentence(error)}), "
            "which could run code; save its state_dict alone on a machine where you trust the file"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0] or "it is empty"
        raise ModelError(
            f"{path}: damaged or no checkpoint ({reason}); download it again"
        ) from error
    state = raw.get("state_dict", raw) if isinstance(raw, Mapping) else {}
    tensors = {str(key).removeprefix("module."): value for key, value in state.items()}
    if PATCHES not in tensors or not all(isinstance(x, torch.Tensor) for x in tensors.values()):
        raise ModelError(f"{path}: no checkpoint of laion-clap with an HTSAT audio network")
    if FUSION in tensors:
        raise ModelError(
            f"{path}: a fusion checkpoint, which takes random parts of long audio; use one without"
        )
    return tensors


def clap_sizes_of(tensors: Mapping[str, "Tensor"]) -> ClapSizes:
    """Sizes from the tensors' shapes; ModelError unless there are an HTSAT and a RoBERTa."""
    try:
        tables = {
            (stage, block): table.shape[1]
            for name, table in tensors.items()
            if name.endswith("attn.relative_position_bias_table")
            for stage, block in [(int(name.split(".")[2]), int(name.split(".")[4]))]
        }
        stages = range(1 + max(stage for stage, _ in tables))
        words = tensors["text_branch.embeddings.word_embeddings.weight"]
        inner = "text_branch.encoder.layer.{}.intermediate.dense.weight"
        return ClapSizes(
            width=len(tensors[PATCHES]),
            depths=tuple(sum(s == stage for s, _ in tables) for stage in stages),
            heads=tuple(tables[stage, 0] for stage in stages),
            joint=len(tensors["audio_projection.2.weight"]),
            vocabulary=words.shape[0],
            positions=len(tensors["text_branch.embeddings.position_embeddings.weight"]),
            text_width=words.shape[1],
            text_layers=sum(inner.format(i) in tensors for i in range(1000)),
            text_inner=len(tensors[inner.format(0)]),
        )
    except (KeyError, ValueError, IndexError) as error:
        raise ModelError(
            f"no CLAP with HTSAT and RoBERTa ({error} is missing); use a checkpoint of laion-clap"
        ) from error


def _numpy_globals() -> list[Any]:
    """Globals that a pickled NumPy number needs: a function, under two names, and dtypes."""
    from numpy._core.multiarray import scalar

    types = (np.float64, np.float32, np.int64, np.bool_)
    return [
        (scalar, "numpy.core.multiarray.scalar"),
        (scalar, "numpy._core.multiarray.scalar"),
        np.dtype,
        *(type(np.dtype(kind)) for kind in types),
    ]


def _refusal_sentence(error: Exception) -> str:
    """The sentence of torch's message that names the refused global, else its first line."""
    lines = str(error).replace(". ", ".\n").splitlines()
    relevant = (line for line in lines if "Unsupported" in line or "GLOBAL" in line)
    return next(relevant, lines[0]).strip().removeprefix("WeightsUnpickler error: ").rstrip(".")
