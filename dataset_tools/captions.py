"""Captions as Kohya's trainer wants them: one line of comma parts, the anchor kept in front.

The anchor is not written into the caption files. ``dataset.toml`` gives it once, as
``caption_prefix = "ANCHOR |||"`` with ``keep_tokens_separator = "|||"``: the parts after the
separator are shuffled, the anchor stays first. sd-scripts takes the separator out only while
captions are shuffled, dropped or warmed up; with all of these off "|||" would be read as words,
so whoever turns ``shuffle_caption`` off (to cache text encoder outputs, say) also needs
``caption_prefix = "ANCHOR,"``: one line here, and not a rewrite of every caption.
"""

import re
import unicodedata

from dmm.errors import InputError

DEFAULT_ANCHOR = "mel spectrogram music"
SEPARATOR = "|||"


def clean(raw: str) -> tuple[str, list[str]]:
    r"""Return one line of distinct comma parts, and the names of the rules that changed something.

    >>> clean("Slow piano.\nSlow  piano, rain | | |")
    ('Slow piano, rain', ['lines', 'separator', 'spaces', 'full stop', 'repeats'])
    """
    rules = {
        "unicode": lambda text: unicodedata.normalize("NFC", text),
        "lines": lambda text: ", ".join(line.strip() for line in text.splitlines() if line.strip()),
        "control characters": _without_controls,
        "separator": lambda text: re.sub(r"\|[\s|]*", " ", text),
        "spaces": lambda text: " ".join(text.split()),
        "full stop": lambda text: re.sub(r"\.(?=\s*(,|$))", "", text),
        "repeats": _distinct_parts,
    }
    changed = []
    text = raw
    for name, rule in rules.items():
        before, text = text, rule(text)
        if text != before:
            changed.append(name)
    return text, changed


def _without_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)


def _distinct_parts(text: str) -> str:
    """Drop empty comma parts and those said before, whatever their case."""
    parts = [part.strip() for part in text.split(",")]
    first = {part.casefold(): part for part in reversed(parts) if part}
    return ", ".join(dict.fromkeys(first[p.casefold()] for p in parts if p))


def check_anchor(anchor: str) -> str:
    """Strip the anchor; InputError if it holds the separator or more than one line."""
    if SEPARATOR in anchor or len(anchor.splitlines()) > 1:
        raise InputError(f"the anchor {anchor!r} must be one line without {SEPARATOR!r}")
    return anchor.strip()


def caption_prefix(anchor: str) -> str | None:
    """Make sd-scripts' ``caption_prefix`` for an anchor that shuffling leaves in front."""
    return f"{anchor} {SEPARATOR}" if anchor else None


def prompt(anchor: str, caption: str) -> str:
    """Put the anchor first: the words a model trained on the dataset is asked with.

    >>> prompt("mel spectrogram music", "slow piano, rain")
    'mel spectrogram music, slow piano, rain'
    """
    return f"{anchor}, {caption}" if anchor else caption
