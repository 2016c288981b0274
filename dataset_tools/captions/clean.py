"""Clean captions for sd-scripts: one line of comma-separated parts, without the anchor.

The anchor (words before every caption) is not in the caption files. ``dataset.toml`` has it once,
as ``caption_prefix = "ANCHOR |||"`` with ``keep_tokens_separator = "|||"``: parts after the
separator are shuffled, the anchor stays first. sd-scripts removes the separator only while captions
are shuffled, dropped or warmed up; otherwise "|||" would be tokenised as words. Turning
``shuffle_caption`` off, for example to cache text encoder outputs, therefore also requires
``caption_prefix = "ANCHOR,"``.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dmm.errors import InputError

DEFAULT_ANCHOR = "mel spectrogram music"
MAX_CHARACTERS = 10_000
"""Most characters of a raw caption that are read; 77 tokens have at most a quarter of them."""
WORDLESS_CAPTION = "music"
"""Caption of a clip whose own has no words besides the anchor."""
SEPARATOR = "|||"
"""Between the anchor and the parts that sd-scripts shuffles."""

_SENTENCE_END = re.compile(
    r"(?<!\bfeat)(?<!\bft)(?<!\bvs)(?<!\bop)(?<!\bno)(?<!\bdr)(?<!\bmr)(?<!\bst)[.!?;]\s+(?=\w)",
    re.IGNORECASE,
)
"""The end of a sentence; not after some abbreviations: "Piano Sonata no. 2" is one part."""


_FULL_STOP = re.compile(r"(?<!\.)\.[.\s]*+(?=,|$)")
"""Full stops at the end of a part; a run of them is looked at once."""
_TAG = re.compile(r"</?[a-zA-Z][^<>|]{0,200}>")
"""An HTML tag."""


@dataclass(frozen=True)
class Change:
    """A change that one rule made: the whole caption before and after it."""

    rule: str
    before: str
    after: str


Rules = Mapping[str, Callable[[str], str]]


def clean(raw: str | None) -> tuple[str, list[Change]]:
    r"""Clean a caption to one line of distinct comma-separated parts; also list the changes.

    >>> caption, changes = clean("Slow piano.\nSlow  piano, rain | | |")
    >>> caption, [change.rule for change in changes]
    ('Slow piano, rain', ['lines', 'separator', 'spaces', 'full stop', 'repeats'])
    """
    if raw is None:
        raise InputError("a caption is None; write one, or leave the track out")
    return apply_rules(raw, TIDY_RULES)


def apply_rules(text: str, rules: Rules) -> tuple[str, list[Change]]:
    """Apply rules in order; returns the text, and a change for each rule that changed it."""
    changes = []
    for name, rule in rules.items():
        before, text = text, rule(text)
        if text != before:
            changes.append(Change(name, before, text))
    return text, changes


def without_anchor(caption: str, anchor: str) -> tuple[str, list[Change]]:
    """Drop parts that are the anchor, which training puts in front itself; also list the changes.

    A caption without other parts becomes ``WORDLESS_CAPTION``.

    >>> without_anchor("Mel spectrogram music, slow piano", "mel spectrogram music")[0]
    'slow piano'
    """
    rules = {
        "anchor": lambda text: _drop_parts(text, anchor) if anchor else text,
        "no words": lambda text: text or WORDLESS_CAPTION,
    }
    return apply_rules(caption, rules)


def _drop_parts(caption: str, unwanted: str) -> str:
    """Drop one or more parts of a clean caption that are ``unwanted``, in any case."""
    part = rf"(?:^|, ){re.escape(unwanted)}(?=,|$)"
    return re.sub(part, "", caption, flags=re.IGNORECASE).removeprefix(", ")


def is_mostly_latin(text: str) -> bool:
    """Whether at least half of the letters are Latin, so that the rules can read the text.

    >>> is_mostly_latin("Грустное пианино"), is_mostly_latin("Café, 音"), is_mostly_latin("120")
    (False, True, True)
    """
    letters = [c for c in text if c.isalpha()]
    latin = sum("LATIN" in unicodedata.name(c, "") for c in letters)
    return 2 * latin >= len(letters)


def _without_markup(text: str) -> str:
    """Decode HTML entities and drop tags, until none is left: "R&amp;amp;B" is "R&B"."""
    while (plain := _TAG.sub(" ", html.unescape(text))) != text:
        text = plain
    return text


def _without_controls(text: str) -> str:
    """Replace control and format characters by spaces."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Cf") else c for c in text)


def _distinct_parts(text: str) -> str:
    """Drop empty parts, and repeated ones, ignoring case."""
    parts = [part.strip() for part in text.split(",")]
    first = {part.casefold(): part for part in reversed(parts) if part}
    return ", ".join(dict.fromkeys(first[p.casefold()] for p in parts if p))


TIDY_RULES: Rules = {
    "length": lambda text: text[:MAX_CHARACTERS],
    "markup": _without_markup,
    "unicode": lambda text: unicodedata.normalize("NFC", text),
    "lines": lambda text: ", ".join(line.strip() for line in text.splitlines() if line.strip()),
    "control characters": _without_controls,
    "separator": lambda text: re.sub(r"\|[\s|]*", " ", text),
    "spaces": lambda text: " ".join(text.split()),
    "sentences": lambda text: _SENTENCE_END.sub(", ", text),
    "full stop": lambda text: _FULL_STOP.sub("", text),
    "repeats": _distinct_parts,
}
"""Name: rule, in order. Sentences become parts too, because the trainer shuffles parts."""


def check_anchor(anchor: str) -> str:
    """Return the anchor, stripped; InputError if it holds the separator or more than one line."""
    if SEPARATOR in anchor or len(anchor.splitlines()) > 1:
        raise InputError(f"the anchor {anchor!r} must be one line without {SEPARATOR!r}")
    return anchor.strip()


def caption_prefix(anchor: str) -> str | None:
    """Value of sd-scripts' ``caption_prefix``: the anchor and the separator; None for no anchor."""
    return f"{anchor} {SEPARATOR}" if anchor else None


def full_prompt(anchor: str, caption: str) -> str:
    """Anchor and caption as one text, as a model trained on the dataset is prompted.

    >>> full_prompt("mel spectrogram music", "slow piano, rain")
    'mel spectrogram music, slow piano, rain'
    """
    return ", ".join(part for part in (anchor, caption) if part)
