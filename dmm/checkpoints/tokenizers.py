"""CLIP's tokenisers, from the Hub or from the merge table of open-clip-torch, and the cache folder.

A checkpoint with a smaller vocabulary (nano) uses the first merges of CLIP's table. A vocabulary is
256 bytes, the same 256 at the end of a word, the merges, then start and end of text.
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
from ..files import read_bytes, read_text, write_text

REVISIONS = {
    "openai/clip-vit-large-patch14": "32bd64288804d66eefd0ccbe215aa642df71cc41",
    "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k": "743c27bd53dfe508a0ade0f50698f99b39d03bec",
}
"""Commit on the Hub of each tokeniser: a later change there changes nothing here."""
SDXL_TOKENIZERS = {
    "openai/clip-vit-large-patch14": "<|endoftext|>",
    "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k": "!",
}
"""Hub names of SDXL's two tokenisers, and their padding tokens."""
FULL_VOCABULARY = 49408
HUB_TIMEOUT_S = 5


def cache_root() -> Path:
    """Folder of cached files: ``$DMM_CACHE``, else ``~/.cache/dmm``."""
    return Path(os.environ.get("DMM_CACHE") or Path.home() / ".cache" / "dmm")


def ensure_tokenizer_folder(vocab_size: int = FULL_VOCABULARY) -> Path:
    """Folder with both tokenisers for a vocabulary size, written on first use.

    It has the layout of sd-scripts' ``--tokenizer_cache_dir``: Hub names with ``_`` for ``/``.
    """
    root = cache_root() / f"tokenizers-{vocab_size}"
    for name, pad_token in SDXL_TOKENIZERS.items():
        folder = root / name.replace("/", "_")
        if not (folder / "tokenizer_config.json").is_file():
            _write_tokenizer(folder, name, vocab_size, pad_token)
    return root


def load_tokenizers(vocab_size: int = FULL_VOCABULARY) -> tuple[Any, Any]:
    """Load SDXL's two CLIPTokenizers for a vocabulary size."""
    from transformers import CLIPTokenizer

    root = ensure_tokenizer_folder(vocab_size)
    first, second = (
        CLIPTokenizer.from_pretrained(root / name.replace("/", "_")) for name in SDXL_TOKENIZERS
    )
    return first, second


def truncate_prompt(prompt: str, tokenizer: Any) -> tuple[str, list[str]]:
    """The longest beginning that fits CLIP, in whole words, and the words cut off."""
    words = prompt.split()
    room = tokenizer.model_max_length - 2  # less the tokens that mark beginning and end

    def fits(count: int) -> bool:
        text = " ".join(words[:count])
        return len(tokenizer(text, add_special_tokens=False, verbose=False).input_ids) <= room

    if fits(len(words)):
        return prompt, []
    low, high = 0, len(words)  # ``low`` words fit, ``high`` words do not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return " ".join(words[:low]), words[low:]


def _write_tokenizer(folder: Path, name: str, vocab_size: int, pad_token: str) -> None:
    """Write a tokeniser's files: downloaded for the full vocabulary, else cut from its merges."""
    if vocab_size == FULL_VOCABULARY and _copy_from_hub(folder, name):
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


def _copy_from_hub(folder: Path, name: str) -> bool:
    """Copy the tokeniser from the Hub or its local cache; False if neither has it."""
    from huggingface_hub import hf_hub_download

    files = ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json")
    is_offline = not hub_answers()
    try:
        paths = [
            Path(hf_hub_download(name, f, revision=REVISIONS[name], local_files_only=is_offline))
            for f in files
        ]
    except OSError:
        return False
    for path in paths:  # the configuration is last: if it exists, all files do
        write_text(folder / path.name, read_text(path))
    return True


@cache
def hub_answers() -> bool:
    """Whether the Hub is allowed and reachable; one connection, its client would retry for long."""
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
    """CLIP's merges in order of rank, from a file in the open_clip package."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ModelError("CLIP's tokeniser table is missing: pip install open-clip-torch")
    path = Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")
    lines = gzip.decompress(read_bytes(path)).decode("utf-8").split("\n")
    return lines[1 : FULL_VOCABULARY - 514 + 1]


def _vocabulary(merges: list[str]) -> dict[str, int]:
    """Number of each token: bytes, merged words, start and end."""
    from transformers.models.clip.tokenization_clip import bytes_to_unicode

    symbols = list(bytes_to_unicode().values())
    words = [*symbols, *(symbol + "</w>" for symbol in symbols)]
    words += ["".join(merge.split()) for merge in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    return {word: number for number, word in enumerate(words)}
