"""The embedder ``clap``: a CLAP checkpoint run by transformers, from a folder or the Hub.

The folder is one of ``save_pretrained`` or ``dmm eval convert-clap``: config.json, safetensors,
preprocessor_config.json and, for text, tokenizer.json. No pickle is read.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from dmm.embedders import EmbedderConfig, Identity, backend
from dmm.errors import ModelError
from dmm.files import read_json
from dmm.model_cards import sha256_of

from .clap import CODE_VERSION, MAX_TOKENS, SR, Clap
from .hub import find_or_download_checkpoint

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ClapFeatureExtractor, ClapModel, PreTrainedTokenizerBase

DEFAULT_CHECKPOINT = Path("laion/larger_clap_general")
"""Default of ``--embedder clap``: HTSAT-base, trained on speech, music and sounds."""
EXPECTED_PREPROCESSING = {
    "sampling_rate": SR,
    "frequency_min": 50,
    "frequency_max": 14000,
    "truncation": "rand_trunc",
    "padding": "repeatpad",
}
"""Preprocessing of the released checkpoints. transformers' own defaults (0 Hz, fusion) would change
an embedding by more than other music does, without an error."""
DERIVED = re.compile(r"position_ids|token_type_ids|relative_position_index|num_batches_tracked")
"""Tensors that only some versions of transformers save; others compute them."""


def load_clap(weights: Path | None, config: EmbedderConfig) -> Clap:
    """Load a folder or Hub name; ModelError if a part is missing or does not fit."""
    from transformers import ClapFeatureExtractor

    from dmm.devices import pick_device

    source = weights or DEFAULT_CHECKPOINT
    folder = find_or_download_checkpoint(source)
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / "config.json").is_file():
        raise ModelError(
            f"{folder}: no CLAP checkpoint; it needs config.json and *.safetensors (convert a .pt "
            "file: dmm eval convert-clap FILE.pt DIR)"
        )
    _check_preprocessing(folder / "preprocessor_config.json")
    device = pick_device(config.device)
    encoder = TransformersClapEncoder(
        _load_model(folder, device),
        ClapFeatureExtractor.from_pretrained(folder, local_files_only=True),
        folder,
        device,
    )
    identity = Identity(
        "clap",
        _hash_of_files(files),
        backend("transformers", "torch"),
        config.protocol,
        config.precision,
        CODE_VERSION,
    )
    location = source.absolute() if source.is_dir() else source
    return Clap(encoder, identity, config, device, location)


class TransformersClapEncoder:
    """``ClapModel`` with its feature extractor and, loaded on demand, its tokeniser."""

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

    def encode_audio(self, batch: Sequence[Float[np.ndarray, "480000"]]) -> "Tensor":
        """(windows, dim); mel features are computed on the CPU in full precision."""
        features = self.extractor(list(batch), sampling_rate=SR, return_tensors="pt")
        mel = features["input_features"].to(self.device)
        return projected_rows(self.model.get_audio_features(input_features=mel))

    def encode_text(self, texts: list[str]) -> "Tensor":
        """(texts, dim); ModelError if the folder has no tokeniser."""
        tokens = tokenize(self._tokenizer, texts)
        ids, mask = (tokens[key].to(self.device) for key in ("input_ids", "attention_mask"))
        return projected_rows(self.model.get_text_features(ids, mask))

    @cached_property
    def _tokenizer(self) -> "PreTrainedTokenizerBase":
        from transformers import AutoTokenizer

        if not (self.folder / "tokenizer.json").is_file():
            raise ModelError(
                f"{self.folder}: no tokenizer.json, which text embeddings need; copy it from where "
                "the checkpoint comes from"
            )
        return AutoTokenizer.from_pretrained(self.folder, local_files_only=True)


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Any:
    """Token ids and attention mask, cut to 77 tokens as in CLAP's training."""
    return tokenizer(
        list(texts), padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )


def projected_rows(out: Any) -> "Tensor":
    """Projected rows of a CLAP model; transformers 5 wraps them in an output object."""
    return getattr(out, "pooler_output", out)


def _load_model(folder: Path, device: str) -> "ClapModel":
    """Load the model; ModelError unless the files hold exactly its weights."""
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


def _hash_of_files(files: Sequence[Path]) -> str:
    """SHA-256 of a single file, or of the joined hashes of several files."""
    hashes = [sha256_of(path) for path in files]
    return hashes[0] if len(files) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _check_preprocessing(path: Path) -> None:
    """Raise ModelError unless the feature extractor has the settings of CLAP's training."""
    if not path.is_file():
        raise ModelError(f"{path}: missing; copy it from where the checkpoint comes from")
    found: dict[str, Any] = read_json(path, error=ModelError)
    for key, value in EXPECTED_PREPROCESSING.items():
        if found.get(key) != value:
            raise ModelError(f"{path}: {key} is {found.get(key)!r}; only {value!r} is supported")
