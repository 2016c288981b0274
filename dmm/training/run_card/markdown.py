"""Markdown from words that others chose: a preset's name or a caption stays the text that it is."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
"""Characters that CommonMark, or GitHub's tables and formulas, might act on within a line."""


def plain(text: object) -> str:
    r"""One line without control characters, for places where nothing else is special.

    >>> plain("piano\n# slow\x07")
    'piano # slow'
    """
    words = " ".join(str(text).split())
    return "".join(c for c in words if unicodedata.category(c) not in ("Cc", "Cs"))


def escape(text: object) -> str:
    r"""Text that shows as itself within a line or a table; no line begins with it.

    >>> escape("a|b *c*")
    'a\\|b \\*c\\*'
    """
    return SPECIAL.sub(r"\\\1", plain(text))


def code(text: object) -> str:
    """A code span; a bar is a fullwidth one, because tables take the other for their own.

    >>> code("lora.safetensors"), code("a`b")
    ('`lora.safetensors`', '`` a`b ``')
    """
    words = plain(text).replace("|", "\N{FULLWIDTH VERTICAL LINE}")
    if "`" not in words:
        return f"`{words}`"
    fence = _longer_than_any("`", words)
    return f"{fence} {words} {fence}"


def block(text: str, language: str) -> str:
    """A fenced block whose text cannot end it."""
    fence = _longer_than_any("`", text, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def link(words: object, path: PurePosixPath) -> str:
    """A link to a file beside the text.

    >>> link("sound", PurePosixPath("previews/step 1/a(b).flac"))
    '[sound](previews/step%201/a%28b%29.flac)'
    """
    return f"[{escape(words)}]({quote(str(path))})"


def image(words: object, path: PurePosixPath) -> str:
    """A picture of a file beside the text."""
    return f"!{link(words, path)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table of cells that are Markdown already; columns in ``right`` are aligned to it."""
    rule = ["---:" if column in right else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _longer_than_any(sign: str, text: str, least: int = 1) -> str:
    runs = re.findall(f"{re.escape(sign)}+", text)
    return sign * max(least, 1 + max(map(len, runs), default=0))
