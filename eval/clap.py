"""``clap``: LAION's CLAP (https://arxiv.org/abs/2211.06687) through transformers, from a folder.

Nothing is downloaded: the folder holds what ``save_pretrained`` writes (config.json, safetensors,
preprocessor_config.json, for words tokenizer.json). Checkpoints differ and are not interchangeable
by name, so the weights' SHA-256 is part of the embedder's version.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from dmm.audio import read_audio
from dmm.errors import InputError, ModelError
from dmm.files import sha256_file

from .hearing import resample

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ClapFeatureExtractor, ClapModel, PreTrainedTokenizerBase

SR = 48000
WINDOW_SAMPLES = 480_000
"""CLAP hears 10 s at a time."""
BATCH = 8
EXPECTED_PREPROCESSING = {
    "sampling_rate": SR,
    "frequency_min": 50,
    "frequency_max": 14000,
    "truncation": "rand_trunc",
    "padding": "repeatpad",
}
"""How the released checkpoints were trained. transformers' own defaults are others (0 Hz, fusion):
they move a clip further than another clip lies, without an error."""


class Clap:
    """A loaded checkpoint; ``version`` begins with the hash of its weights."""

    name = "clap"
    protocol = "48 kHz mono, 16 bit, looped to 10 s; longer sound: mean of 10 s windows"

    def __init__(
        self, model: "ClapModel", extractor: "ClapFeatureExtractor", folder: Path, weights: str
    ) -> None:
        self.model, self.extractor, self.folder = model, extractor, folder
        self.version = f"{weights[:16]}-loop1"
        self.dim = int(model.config.projection_dim)
        self.logit_scale = float(model.logit_scale_a.detach().exp())

    def embed(self, audio_files: Sequence[Path]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; InputError names the first file that cannot be read."""
        return self._embed(read_audio(path, SR, 1)[0] for path in audio_files)

    def embed_sounds(
        self, sounds: Float[np.ndarray, "n samples"], sr: int
    ) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32, of mono sounds at ``sr`` Hz."""
        return self._embed(resample(sounds.astype(np.float32, copy=False), sr, SR))

    def embed_text(self, texts: Sequence[str]) -> Float[np.ndarray, "n dim"]:
        """Unit rows, float32; ModelError if the folder has no tokeniser."""
        import torch

        words: Any = self._tokenizer(
            list(texts), padding=True, truncation=True, return_tensors="pt"
        )
        with torch.inference_mode():
            rows = _tensor(
                self.model.get_text_features(words["input_ids"], words["attention_mask"])
            )
        return torch.nn.functional.normalize(rows.float(), dim=1).numpy()

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase":
        from transformers import AutoTokenizer

        if not (self.folder / "tokenizer.json").is_file():
            raise ModelError(
                f"{self.folder}: no tokenizer.json, which reading words needs; copy it from where "
                "the checkpoint comes from"
            )
        return AutoTokenizer.from_pretrained(self.folder, local_files_only=True)

    def _embed(self, sounds: Iterable[Float[np.ndarray, "_"]]) -> Float[np.ndarray, "n dim"]:
        windows = [clap_windows(sound) for sound in sounds]
        rows = self._embed_windows(np.concatenate(windows))
        ends = np.cumsum([len(own) for own in windows])[:-1]
        means = np.stack([own.mean(0) for own in np.split(rows, ends)])
        return means / np.linalg.norm(means, axis=1, keepdims=True)

    def _embed_windows(self, windows: Float[np.ndarray, "n samples"]) -> Float[np.ndarray, "n dim"]:
        import torch

        rows = []
        with torch.inference_mode():
            for start in range(0, len(windows), BATCH):
                batch = list(windows[start : start + BATCH])
                features = self.extractor(batch, sampling_rate=SR, return_tensors="pt")
                out = self.model.get_audio_features(input_features=features["input_features"])
                rows.append(_tensor(out))
        return torch.cat(rows).float().numpy()


def _tensor(out: Any) -> "Tensor":
    """The projected vectors, which transformers 5 wraps in an output object."""
    return getattr(out, "pooler_output", out)


def clap_windows(audio: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "windows 480000"]:
    """Whole 10 s windows: short sound is looped, long sound covered by evenly spaced windows.

    Looping is for clips of all lengths alike: the checkpoint's own padding repeats whole copies
    only and would append 4.88 s of silence to a clip of 5.12 s, but none to one of 5 s. Samples
    go through 16 bits, truncating, as in training.
    """
    audio = (np.clip(audio, -1, 1) * 32767).astype(np.int16).astype(np.float32) / 32767
    if len(audio) <= WINDOW_SAMPLES:
        return np.resize(audio, (1, WINDOW_SAMPLES))
    count = -(-len(audio) // WINDOW_SAMPLES)
    starts = np.linspace(0, len(audio) - WINDOW_SAMPLES, count).astype(int)
    return np.stack([audio[start : start + WINDOW_SAMPLES] for start in starts])


def load_clap(folder: Path | None) -> Clap:
    """The checkpoint in ``folder``; ModelError if a part is missing or does not fit."""
    from transformers import ClapFeatureExtractor, ClapModel

    if folder is None:
        raise InputError("the clap embedder needs a checkpoint folder; name it with --weights DIR")
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: no CLAP checkpoint; it needs config.json and *.safetensors")
    _check_preprocessing(folder / "preprocessor_config.json")
    loaded: Any = ClapModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, output_loading_info=True
    )
    model, report = loaded
    if report["missing_keys"] or report["mismatched_keys"]:
        raise ModelError(
            f"{folder}: {len(report['missing_keys'])} tensors missing and "
            f"{len(report['mismatched_keys'])} of another shape; this is not a whole CLAP model"
        )
    extractor = ClapFeatureExtractor.from_pretrained(folder, local_files_only=True)
    digest = hashlib.sha256("".join(map(sha256_file, weights)).encode()).hexdigest()
    version = sha256_file(weights[0]) if len(weights) == 1 else digest
    return Clap(model.eval(), extractor, folder, version)


def _check_preprocessing(path: Path) -> None:
    """Refuse a feature extractor other than the one the checkpoints were trained with."""
    if not path.is_file():
        raise ModelError(f"{path}: missing; copy it from where the checkpoint comes from")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for key, value in EXPECTED_PREPROCESSING.items():
        if found.get(key) != value:
            raise ModelError(f"{path}: {key} is {found.get(key)!r}; only {value!r} is supported")
