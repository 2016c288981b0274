"""``clap``: a CLAP checkpoint run by transformers, from a folder or by its name on the Hub.

The folder holds what ``save_pretrained`` writes, or ``dmm eval convert-clap``: config.json,
safetensors, preprocessor_config.json and, for words, tokenizer.json. No pickle is ever read.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from dmm.cards import sha256_of
from dmm.embedders import EmbedderConfig, Identity, backend
from dmm.errors import ModelError

from .clap import CODE, MAX_TOKENS, SR, Clap
from .hub import checkpoint_folder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ClapFeatureExtractor, ClapModel, PreTrainedTokenizerBase

DEFAULT_CHECKPOINT = Path("laion/larger_clap_general")
"""What ``--embedder clap`` alone means: HTSAT-base, trained on speech, music and sounds."""
EXPECTED_PREPROCESSING = {
    "sampling_rate": SR,
    "frequency_min": 50,
    "frequency_max": 14000,
    "truncation": "rand_trunc",
    "padding": "repeatpad",
}
"""How the released checkpoints were trained. transformers' own defaults are others (0 Hz, fusion):
they move a clip further than another clip lies, without an error."""
DERIVED = re.compile(r"position_ids|token_type_ids|relative_position_index|num_batches_tracked")
"""Tensors that some versions of transformers save and others make anew: no weights."""


def load_clap(weights: Path | None, config: EmbedderConfig) -> Clap:
    """The checkpoint of a folder or Hub name; ModelError if a part is missing or does not fit."""
    from transformers import ClapFeatureExtractor

    from dmm.devices import pick_device

    place = weights or DEFAULT_CHECKPOINT
    folder = checkpoint_folder(place)
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: no CLAP checkpoint; it needs config.json and *.safetensors (of a .pt file "
            "they are made by: dmm eval convert-clap FILE.pt DIR)"
        )
    _check_preprocessing(folder / "preprocessor_config.json")
    device = pick_device(config.device)
    encoder = TransformersClap(
        _load_model(folder, device),
        ClapFeatureExtractor.from_pretrained(folder, local_files_only=True),
        folder,
        device,
    )
    identity = Identity(
        "clap",
        _hash(files),
        backend("transformers", "torch"),
        config.protocol,
        config.precision,
        CODE,
    )
    return Clap(encoder, identity, config, device, place.absolute() if place.is_dir() else place)


class TransformersClap:
    """``ClapModel`` with its features and, once words come, its tokeniser."""

    def __init__(
        self,
        model: "ClapModel",
        extractor: "ClapFeatureExtractor",
        folder: Path,
        device: str,
    ) -> None:
        self.model, self.extractor, self.folder, self.device = model, extractor, folder, device
        self.dim = int(model.config.projection_dim)
        self.logit_scale = float(model.logit_scale_a.detach().exp())

    def hear(self, batch: Sequence[Float[np.ndarray, "480000"]]) -> "Tensor":
        """(windows, dim); the mel features are made on the CPU, in full precision."""
        features = self.extractor(list(batch), sampling_rate=SR, return_tensors="pt")
        mel = features["input_features"].to(self.device)
        return projected(self.model.get_audio_features(input_features=mel))

    def read(self, texts: list[str]) -> "Tensor":
        """(texts, dim); ModelError if the folder has no tokeniser."""
        words = tokens(self._tokenizer, texts)
        ids, mask = (words[key].to(self.device) for key in ("input_ids", "attention_mask"))
        return projected(self.model.get_text_features(ids, mask))

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase":
        from transformers import AutoTokenizer

        if not (self.folder / "tokenizer.json").is_file():
            raise ModelError(
                f"{self.folder}: no tokenizer.json, which reading words needs; copy it from where "
                "the checkpoint comes from"
            )
        return AutoTokenizer.from_pretrained(self.folder, local_files_only=True)


def tokens(tokenizer: Any, texts: Sequence[str]) -> Any:
    """Token numbers and mask, cut off as in CLAP's training."""
    return tokenizer(
        list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )


def projected(out: Any) -> "Tensor":
    """The projected vectors, which transformers 5 wraps in an output object."""
    return getattr(out, "pooler_output", out)


def _load_model(folder: Path, device: str) -> "ClapModel":
    """All weights of the configured model and no others, ready to be used."""
    import torch
    from safetensors import SafetensorError
    from transformers import ClapModel

    try:
        loaded: Any = ClapModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(
            f"{folder}: cannot be loaded ({reason}); copy or convert it again"
        ) from error
    model, report = loaded
    found = {
        "missing": [*filter(_is_weight, report["missing_keys"])],
        "of another shape": [key for key, *_ in report["mismatched_keys"]],
        "unknown": [*filter(_is_weight, report["unexpected_keys"])],
    }
    if any(found.values()):
        counts = ", ".join(f"{len(keys)} tensors {what}" for what, keys in found.items() if keys)
        first = next(key for keys in found.values() for key in keys)
        raise ModelError(
            f"{folder}: config.json and weights do not fit: {counts} (first {first}); take both "
            "from one checkpoint"
        )
    return model.eval().requires_grad_(False).to(device)


def _is_weight(key: str) -> bool:
    return not DERIVED.search(key)


def _hash(files: Sequence[Path]) -> str:
    """The only file's SHA-256, or that of several files' joined."""
    hashes = [sha256_of(path) for path in files]
    return hashes[0] if len(files) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _check_preprocessing(path: Path) -> None:
    """Refuse a feature extractor other than the one the checkpoints were trained with."""
    if not path.is_file():
        raise ModelError(f"{path}: missing; copy it from where the checkpoint comes from")
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: is no JSON ({error}); copy it again") from error
    for key, value in EXPECTED_PREPROCESSING.items():
        if found.get(key) != value:
            raise ModelError(f"{path}: {key} is {found.get(key)!r}; only {value!r} is supported")
