"""How many tokens CLIP makes of a prompt: both encoders of SDXL read 77, start and end included.

What lies beyond is cut off without a word, so captions are made to fit when they are written.
"""

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .clean import Change, prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 77
"""What CLIP's encoders read, the start and end tokens among them: 75 are the prompt's."""


_WORDS = (
    r"(?i:<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
    r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)"
)
"""CLIP's words, as transformers' CLIPTokenizer splits them: a digit is a word of its own."""


@lru_cache(maxsize=100_000)
def count_tokens(text: str) -> int:
    """Tokens of a text with start and end, the larger number of the two encoders'.

    The same numbers as ``load_tokenizers`` of ``dmm.checkpoints.tokenizers`` gives and the trainer
    sees, from the same files, without importing torch in every worker process.

    >>> count_tokens("120 bpm")
    6
    """
    import ftfy

    tidy = ftfy.fix_text(text)
    encoded = (tokenizer.encode(tidy, add_special_tokens=False) for tokenizer in _tokenizers())
    return 2 + max(len(tokens.ids) for tokens in encoded)


def fit(anchor: str, caption: str) -> tuple[str, list[Change]]:
    """Drop last comma parts until "ANCHOR, caption" fits; of a last part its last words.

    A caption is never dropped whole: one letter stays, even with an anchor that is itself too long.
    """
    fitted = caption
    while count_tokens(prompt(anchor, fitted)) > MAX_TOKENS:
        shorter = _without_last(fitted)
        if not shorter:
            break
        fitted = shorter
    return fitted, [Change("75 tokens", caption, fitted)] if fitted != caption else []


def _without_last(text: str) -> str:
    for separator in (", ", " "):
        if separator in text:
            return text.rpartition(separator)[0]
    return text[: len(text) // 2]


@cache
def _tokenizers() -> "tuple[Tokenizer, ...]":
    """The tokenisers of both encoders, which differ in the token that each pads with."""
    from dmm.checkpoints.tokenizers import SDXL_TOKENIZERS, tokenizer_folder

    root = tokenizer_folder()
    return tuple(
        _tokenizer(root / name.replace("/", "_"), pad) for name, pad in SDXL_TOKENIZERS.items()
    )


def _tokenizer(folder: Path, pad: str) -> "Tokenizer":
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    vocabulary, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
    tokenizer = Tokenizer(BPE.from_file(vocabulary, merges, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>", pad])
    return tokenizer
