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
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dmm.errors import InputError

DEFAULT_ANCHOR = "mel spectrogram music"
SEPARATOR = "|||"

_SENTENCE_END = re.compile(
    r"(?<!\bfeat)(?<!\bft)(?<!\bvs)(?<!\bop)(?<!\bno)(?<!\bdr)(?<!\bmr)(?<!\bst)[.!?;]\s+(?=\w)",
    re.IGNORECASE,
)
"""Not after a few abbreviations: "Piano Sonata no. 2" is one part."""


@dataclass(frozen=True)
class Change:
    """One rule at work: what the whole caption was before it, and after."""

    rule: str
    before: str
    after: str


Rules = Mapping[str, Callable[[str], str]]


def clean(raw: str) -> tuple[str, list[Change]]:
    r"""Return one line of distinct comma parts, and what each rule that fired made of it.

    >>> caption, changes = clean("Slow piano.\nSlow  piano, rain | | |")
    >>> caption, [change.rule for change in changes]
    ('Slow piano, rain', ['lines', 'separator', 'spaces', 'full stop', 'repeats'])
    """
    return apply_rules(raw, TIDY_RULES)


def apply_rules(text: str, rules: Rules) -> tuple[str, list[Change]]:
    """Apply rules in order; each change begins with the text that the one before it left."""
    changes = []
    for name, rule in rules.items():
        before, text = text, rule(text)
        if text != before:
            changes.append(Change(name, before, text))
    return text, changes


def _without_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)


def _distinct_parts(text: str) -> str:
    """Drop empty comma parts and those said before, whatever their case."""
    parts = [part.strip() for part in text.split(",")]
    first = {part.casefold(): part for part in reversed(parts) if part}
    return ", ".join(dict.fromkeys(first[p.casefold()] for p in parts if p))


TIDY_RULES: Rules = {
    "unicode": lambda text: unicodedata.normalize("NFC", text),
    "lines": lambda text: ", ".join(line.strip() for line in text.splitlines() if line.strip()),
    "control characters": _without_controls,
    "separator": lambda text: re.sub(r"\|[\s|]*", " ", text),
    "spaces": lambda text: " ".join(text.split()),
    "sentences": lambda text: _SENTENCE_END.sub(", ", text),
    "full stop": lambda text: re.sub(r"\.[.\s]*(?=,|$)", "", text),
    "repeats": _distinct_parts,
}
"""Sentences become comma parts too: a part is what the trainer shuffles."""


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
    return ", ".join(part for part in (anchor, caption) if part)
