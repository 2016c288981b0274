"""Build Markdown from untrusted text, such as captions and file names, so that it shows as is."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&$])")
"""Characters with a meaning within a line of CommonMark, or of GitHub's tables and formulas."""


def plain(text: object) -> str:
    r"""One line without control characters; nothing is escaped.

    >>> plain("piano\n# slow\x07")
    'piano # slow'
    """
    words = " ".join(str(text).split())
    return "".join(c for c in words if unicodedata.category(c) not in ("Cc", "Cs"))


def escape(text: object) -> str:
    r"""Escape text for a place within a line or a table cell, but not at the start of a line.

    >>> escape("a|b *c*")
    'a\\|b \\*c\\*'
    """
    return SPECIAL.sub(r"\\\1", plain(text))


def code(text: object) -> str:
    """A code span; a bar becomes a fullwidth one, because tables would split at it.

    >>> code("lora.safetensors"), code("a`b")
    ('`lora.safetensors`', '`` a`b ``')
    """
    words = plain(text).replace("|", "\N{FULLWIDTH VERTICAL LINE}")
    if "`" not in words:
        return f"`{words}`"
    fence = _fence("`", words)
    return f"{fence} {words} {fence}"


def block(text: str, language: str) -> str:
    """A code block with a fence longer than any in its text."""
    fence = _fence("`", text, 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def link(words: object, path: PurePosixPath) -> str:
    """A link to a file, relative to the Markdown file.

    >>> link("sound", PurePosixPath("previews/step 1/a(b).flac"))
    '[sound](previews/step%201/a%28b%29.flac)'
    """
    return f"[{escape(words)}]({quote(str(path))})"


def image(words: object, path: PurePosixPath) -> str:
    """An image from a file, relative to the Markdown file."""
    return f"!{link(words, path)}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A table whose cells are Markdown already; columns in ``right`` are right-aligned."""
    rule = ["---:" if column in right else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def _fence(sign: str, text: str, least: int = 1) -> str:
    """``sign`` repeated once more than anywhere in the text, and at least ``least`` times."""
    runs = re.findall(f"{re.escape(sign)}+", text)
    return sign * max(least, 1 + max(map(len, runs), default=0))
