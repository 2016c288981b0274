"""CLIP's tokenisers: from the Hub where it answers, else from the table a package carries.

open-clip-torch ships CLIP's table of byte-pair merges. A checkpoint with a smaller vocabulary
(nano) uses the first merges of the same table, so one rule serves every model: the vocabulary
is 256 bytes, the same 256 ending a word, the merges, then start and end of text.
"""

import gzip
import json
import os
import socket
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ModelError
from ..files import write_text

SDXL_TOKENIZERS = {
    "openai/clip-vit-large-patch14": "<|endoftext|>",
    "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k": "!",
}
"""Hub names of SDXL's two tokenisers and the token that each pads with."""
FULL_VOCABULARY = 49408
HUB_TIMEOUT_S = 5


def cache_root() -> Path:
    """Where derived files are kept: ``$DMM_CACHE``, else ``~/.cache/dmm``."""
    return Path(os.environ.get("DMM_CACHE") or Path.home() / ".cache" / "dmm")


def tokenizer_folder(vocab_size: int = FULL_VOCABULARY) -> Path:
    """A folder with both tokenisers of a vocabulary, each named after the Hub with ``_`` for ``/``.

    This is sd-scripts' ``--tokenizer_cache_dir`` layout; it is made on first use.
    """
    root = cache_root() / f"tokenizers-{vocab_size}"
    for name, pad_token in SDXL_TOKENIZERS.items():
        folder = root / name.replace("/", "_")
        if not (folder / "tokenizer_config.json").is_file():
            _make(folder, name, vocab_size, pad_token)
    return root


def load_tokenizers(vocab_size: int = FULL_VOCABULARY) -> tuple[Any, Any]:
    """SDXL's two CLIPTokenizers for a vocabulary size."""
    from transformers import CLIPTokenizer

    root = tokenizer_folder(vocab_size)
    first, second = (
        CLIPTokenizer.from_pretrained(root / name.replace("/", "_")) for name in SDXL_TOKENIZERS
    )
    return first, second


def _make(folder: Path, name: str, vocab_size: int, pad_token: str) -> None:
    if vocab_size == FULL_VOCABULARY and _download(folder, name):
        return
    merges = _merge_table()[: vocab_size - 514]
    write_text(folder / "vocab.json", json.dumps(_vocabulary(merges), ensure_ascii=False))
    write_text(folder / "merges.txt", "\n".join(["#version: 0.2", *merges]) + "\n")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
        "pad_token": pad_token,
    }
    write_text(folder / "tokenizer_config.json", json.dumps(settings, indent=2))


def _download(folder: Path, name: str) -> bool:
    """Take the tokeniser from the Hub or its local cache; False where neither has it."""
    from huggingface_hub import hf_hub_download

    files = ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json")
    is_offline = not hub_answers()
    try:
        paths = [Path(hf_hub_download(name, f, local_files_only=is_offline)) for f in files]
    except OSError:
        return False
    for path in paths:  # the configuration comes last: where it is, all are
        write_text(folder / path.name, path.read_text(encoding="utf-8"))
    return True


@cache
def hub_answers() -> bool:
    """Whether the Hub may be asked and one connection succeeds: its client retries for a minute."""
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        return False
    host = urlsplit(ENDPOINT).hostname or ""
    try:
        socket.create_connection((host, 443), timeout=HUB_TIMEOUT_S).close()
    except OSError:
        return False
    return True


def _merge_table() -> list[str]:
    """CLIP's merges in order of rank, from the file inside the open_clip package."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModelError("CLIP's tokeniser table is missing: pip install open-clip-torch")
    path = Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")
    return lines[1 : FULL_VOCABULARY - 514 + 1]


def _vocabulary(merges: list[str]) -> dict[str, int]:
    from transformers.models.clip.tokenization_clip import bytes_to_unicode

    symbols = list(bytes_to_unicode().values())
    words = [*symbols, *(symbol + "</w>" for symbol in symbols)]
    words += ["".join(merge.split()) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}
