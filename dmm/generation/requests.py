"""Which clips to generate: prompt, seed, interpolations and file name of each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_NAME = 60
"""Longest name made of a text's words, in characters."""
MAX_NAME_BYTES = 180
"""Longest such name in bytes; file systems allow 255, with hash, seed and suffix."""


@dataclass(frozen=True)
class ClipRequest:
    """One clip to generate."""

    prompt: str
    seed: int
    toward_prompt: tuple[str, float] | None = None
    """Second prompt and its share: embeddings are interpolated, 1 is the second prompt alone."""
    toward_seeds: tuple[tuple[int, float], ...] = ()
    """Seeds to interpolate the noise to, one after the other, and the share of each."""
    name: str = ""
    """File name without suffix; by default prompt and seed."""

    @property
    def clip_id(self) -> str:
        """File name without suffix: the given name, else words of the prompt and the seed.

        >>> ClipRequest("piano, slow", 7).clip_id
        'piano_slow-7'
        """
        return self.name or f"{text_id(self.prompt)}-{self.seed}"

    def as_json(self) -> dict[str, Any]:
        """The clip's own part of its JSON file."""
        found: dict[str, Any] = {"prompt": self.prompt, "seed": self.seed}
        if self.toward_prompt:
            found["toward"] = list(self.toward_prompt)
        if self.toward_seeds:
            found["drift"] = [list(step) for step in self.toward_seeds]
        return found


def clip_requests(prompts: Sequence[str], count: int, seed: int) -> list[ClipRequest]:
    """``count`` clips of every prompt; seeds count up from ``seed`` over all of them.

    ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"count is 1 or more; got {count}")
    return [
        ClipRequest(prompt, seed + len(prompts) * repeat + number)
        for repeat in range(count)
        for number, prompt in enumerate(prompts)
    ]


def morph_requests(first: str, last: str, count: int, seed: int) -> list[ClipRequest]:
    """``count`` clips in even steps from one prompt and ``seed`` to the other and ``seed`` + 1.

    ValueError for a count below 2.

    >>> [r.toward_prompt for r in morph_requests("piano", "organ", 3, 7)]
    [('organ', 0.0), ('organ', 0.5), ('organ', 1.0)]
    """
    if count < 2:
        raise ValueError(f"a morph has 2 steps or more; got {count}")
    name = f"{slug(f'{first} to {last}')}-{_short_hash(first, last)}-{seed}"
    return [
        ClipRequest(first, seed, (last, share), ((seed + 1, share),), f"{name}-{number:03}")
        for number, share in enumerate(np.linspace(0, 1, count).tolist())
    ]


def with_anchor(anchor: str | None, prompt: str) -> str:
    """The text that the model reads: the anchor, if there is one, in front of the prompt.

    >>> with_anchor("mel music", "slow piano"), with_anchor(None, "slow piano")
    ('mel music, slow piano', 'slow piano')
    """
    return ", ".join(filter(None, (anchor, prompt)))


def text_id(text: str) -> str:
    """A file name that only this text has: its words, and a hash if they are not all of it.

    Spaces become ``-``, and a comma with its space ``_``, in a name with a hash ``-`` too.

    >>> text_id("lofi piano, slow"), text_id("Lo-fi piano!")
    ('lofi-piano_slow', 'lo-fi-piano-589b6ef7')
    """
    name = "_".join(slug(part) for part in text.split(", "))
    is_exact = len(name) <= MAX_NAME and name.replace("_", ", ").replace("-", " ") == text
    return name if is_exact else f"{slug(text)}-{_short_hash(text)}"


def _short_hash(*texts: str) -> str:
    joined = "\0".join(texts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(joined).hexdigest()[:8]


def slug(text: str) -> str:
    """Words of a text as a file name of at most 60 letters and digits with ``-`` between.

    Different texts may have the same: see ``text_id``.

    >>> slug("Lo-fi piano, slow"), slug("!")
    ('lo-fi-piano-slow', 'clip')
    """
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    name = "-".join(words)[:MAX_NAME].encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    return name.strip("-") or "clip"
