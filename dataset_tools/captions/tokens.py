"""Count the CLIP tokens of a prompt, and shorten captions to the 77 that SDXL's encoders read.

The encoders ignore further tokens without a warning, so captions are shortened when they are built.
"""

from bisect import bisect_left
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .clean import Change, full_prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_TOKENS = 77
"""Tokens that CLIP's encoders read; start and end are two of them, which leaves 75."""

MAX_CHARACTERS = 4_000
"""More than 77 tokens can have: the longest one has 32 bytes."""

_WORD_PATTERN = (
    r"(?i:<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
    r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)"
)
"""A word, as transformers' CLIPTokenizer splits text; every digit is a word."""


@lru_cache(maxsize=100_000)
def count_tokens(text: str) -> int:
    """Number of CLIP tokens with start and end: the larger number of SDXL's two tokenisers.

    Equal to the numbers by ``load_tokenizers`` in ``dmm.checkpoints.tokenizers``, which the
    trainer uses, from the same files, but without importing torch in every worker process.

    >>> count_tokens("120 bpm")
    6
    """
    import ftfy

    tidy = ftfy.fix_text(text)
    encoded = (tokenizer.encode(tidy, add_special_tokens=False) for tokenizer in _tokenizers())
    return 2 + max(len(tokens.ids) for tokens in encoded)


def fit_to_token_limit(anchor: str, caption: str) -> tuple[str, list[Change]]:
    """Cut a caption until "ANCHOR, caption" has at most 77 tokens; also list the change, if any.

    The last parts are cut first, then words of the only part, then halves of its only word. At
    least one letter stays, even if the anchor alone is too long.
    """
    fitted = caption
    if not _fits(anchor, caption):
        while len(fitted) > MAX_CHARACTERS and (shorter := _drop_last_piece(fitted)):
            fitted = shorter
        candidates = [fitted]
        while shorter := _drop_last_piece(candidates[-1]):
            candidates.append(shorter)
        first = bisect_left(candidates, True, key=lambda text: _fits(anchor, text))
        fitted = candidates[min(first, len(candidates) - 1)]
    return fitted, [Change("75 tokens", caption, fitted)] if fitted != caption else []


def _fits(anchor: str, caption: str) -> bool:
    return count_tokens(full_prompt(anchor, caption)) <= MAX_TOKENS


def _drop_last_piece(text: str) -> str:
    """The text without its last part, its last word, or its second half."""
    for separator in (", ", " "):
        if separator in text:
            return text.rpartition(separator)[0]
    return text[: len(text) // 2]


@cache
def _tokenizers() -> "tuple[Tokenizer, ...]":
    """Tokenisers of both encoders, which differ in their padding token."""
    from dmm.checkpoints.tokenizers import SDXL_TOKENIZERS, ensure_tokenizer_folder

    root = ensure_tokenizer_folder()
    return tuple(
        _tokenizer(root / name.replace("/", "_"), pad) for name, pad in SDXL_TOKENIZERS.items()
    )


def _tokenizer(folder: Path, pad: str) -> "Tokenizer":
    """CLIP's tokeniser by the ``tokenizers`` library, from a folder with its vocabulary."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    vocabulary, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
    tokenizer = Tokenizer(BPE.from_file(vocabulary, merges, end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD_PATTERN), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(["<|startoftext|>", "<|endoftext|>", pad])
    return tokenizer
