"""Text for the terminal: control characters of titles, paths and prompts are shown, not obeyed."""

import unicodedata

KEPT = "\n\t"
"""Control characters that only lay out text."""


def printable(text: object) -> str:
    r"""Text with control characters, and those that change the writing direction, escaped.

    >>> printable("a\x1b[2J\u202eb")
    'a\\x1b[2J\\u202eb'
    """
    return "".join(map(_shown, str(text)))


def _shown(character: str) -> str:
    if character.isprintable() or character in KEPT or unicodedata.category(character) == "Zs":
        return character
    return ascii(character)[1:-1]
