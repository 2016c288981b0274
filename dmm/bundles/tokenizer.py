"""CLIP's byte-pair tokeniser from its merges alone.

Ids are those of transformers' CLIPTokenizer, but for a few signs that ftfy rewrites (ĳ, ŉ). The
vocabulary follows from the order of the merges: 256 bytes, the same at a word's end, a token for
each merge, start and end of text.
"""

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Int

from ..errors import InputError
from ..files import read_text
from .schema import Encoder

END = "</w>"
ENDINGS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
"""Endings that become words of their own."""
QUOTES = str.maketrans({"‘": "'", "’": "'", "‛": "'", "“": '"', "”": '"', "‟": '"'})


class Tokenizer:
    """Turns prompts into token ids."""

    def __init__(self, merges: Path) -> None:
        """InputError for a file that does not hold merges."""
        lines = read_text(merges).splitlines()
        pairs = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise InputError(f"{merges}: does not hold merges, two symbols a line; export again")
        self._ranks = {pair: rank for rank, pair in enumerate(pairs)}
        self._bytes = _byte_symbols()
        symbols = list(self._bytes.values())
        words = [*symbols, *(s + END for s in symbols), *("".join(pair) for pair in pairs)]
        self._words, self._ids = words, {word: number for number, word in enumerate(words)}
        self._known: dict[str, list[int]] = {}

    def token_ids(self, text: str, encoder: Encoder) -> list[int]:
        """Token ids of a text, without start and end."""
        special = {"<|startoftext|>": encoder.bos, "<|endoftext|>": encoder.eos}
        if (
            encoder.pad != encoder.eos
        ):  # SDXL's second pads with "!", so each "!" is a token of its own
            special[self._words[encoder.pad]] = encoder.pad
        parts = re.split(f"({'|'.join(map(re.escape, special))})", text)
        return [number for part in parts for number in self._part_ids(part, special)]

    def encode(self, text: str, encoder: Encoder) -> Int[np.ndarray, " places"]:
        """Ids for a text encoder: start, the text's ids truncated to fit, end, padding."""
        found = self.token_ids(text, encoder)[: encoder.max_length - 2]
        padding = [encoder.pad] * (encoder.max_length - 2 - len(found))
        return np.array([encoder.bos, *found, encoder.eos, *padding], np.int32)

    def cut_to_fit(self, text: str, encoder: Encoder) -> tuple[str, list[str]]:
        """The leading whole words that fit into the encoder, and a list of those cut off."""
        words, room = text.split(), encoder.max_length - 2
        kept = len(words)
        while kept and len(self.token_ids(" ".join(words[:kept]), encoder)) > room:
            kept -= 1
        return (text if kept == len(words) else " ".join(words[:kept])), words[kept:]

    def _part_ids(self, part: str, special: Mapping[str, int]) -> list[int]:
        if part in special:
            return [special[part]]
        return [number for word in _words(part) for number in self._word_ids(word)]

    def _word_ids(self, word: str) -> list[int]:
        if word not in self._known:
            parts = [self._bytes[byte] for byte in word.encode()]
            parts[-1] += END
            self._known[word] = [self._ids[part] for part in self._apply_merges(parts)]
        return self._known[word]

    def _apply_merges(self, parts: list[str]) -> list[str]:
        """Merge the pair of the lowest rank, everywhere, until no pair has one."""
        while len(parts) > 1:
            pairs = set(pairwise(parts))
            best = min(pairs, key=lambda pair: self._ranks.get(pair, len(self._ranks)))
            if best not in self._ranks:
                break
            parts = list(_merge_pair(parts, best))
        return parts


def _merge_pair(parts: Sequence[str], pair: tuple[str, str]) -> Iterator[str]:
    """Yield the parts, each occurrence of the pair joined."""
    place = 0
    while place < len(parts):
        if tuple(parts[place : place + 2]) == pair:
            yield "".join(pair)
            place += 2
        else:
            yield parts[place]
            place += 1


def _words(text: str) -> Iterator[str]:
    """Yield words in lower case: runs of letters, single digits, other signs, ``ENDINGS``."""
    text = html.unescape(text).translate(QUOTES)
    text = unicodedata.normalize("NFC", "".join(map(_normalise_character, text))).lower()
    place = 0
    while place < len(text):
        ending = next((e for e in ENDINGS if text.startswith(e, place)), None)
        kind, end = _character_class(text[place]), place + 1
        if ending:
            end = place + len(ending)
        elif kind != "N":
            while end < len(text) and _character_class(text[end]) == kind:
                end += 1
        if kind != " ":
            yield text[place:end]
        place = end


def _normalise_character(sign: str) -> str:
    """Normalise full-width and half-width signs and the ligatures ff to st, as ftfy does."""
    is_wide = "\uff00" <= sign <= "\uffef" or "\ufb00" <= sign <= "\ufb06"
    return unicodedata.normalize("NFKC", sign) if is_wide else sign


def _character_class(sign: str) -> str:
    """``L`` for a letter, ``N`` for a digit, a space for white space, ``.`` for other signs."""
    if sign.isspace():
        return " "
    category = unicodedata.category(sign)[0]
    return category if category in "LN" else "."


def _byte_symbols() -> dict[int, str]:
    """A printable sign for every byte, in the order of CLIP's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + number) for number, byte in enumerate(others)
    }
