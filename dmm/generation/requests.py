"""Which clips to make: prompts and seeds, mixtures of them, and what each clip is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Request:
    """One clip to make."""

    prompt: str
    seed: int
    toward: tuple[str, float] | None = None
    """Another prompt, and how far to it: 1 is there."""
    drift: tuple[tuple[int, float], ...] = ()
    """Other seeds, and how far the noise goes to each, one after the other."""
    name: str = ""
    """What the clip is called, if not by its prompt and seed."""

    @property
    def clip_id(self) -> str:
        """Words of the prompt and the seed, fit for a file name.

        >>> Request("Piano, slow!", 7).clip_id
        'piano-slow-7'
        """
        return self.name or f"{slug(self.prompt)}-{self.seed}"

    def settings(self) -> dict[str, Any]:
        """What is the clip's own among its settings; fit for JSON."""
        found: dict[str, Any] = {"prompt": self.prompt, "seed": self.seed}
        if self.toward:
            found["toward"] = list(self.toward)
        if self.drift:
            found["drift"] = [list(step) for step in self.drift]
        return found


def requests(prompts: Sequence[str], count: int, seed: int) -> list[Request]:
    """``count`` clips for every prompt, seeds counting up from ``seed`` over all of them."""
    if count < 1:
        raise ValueError(f"count is 1 or more; got {count}")
    return [
        Request(prompt, seed + len(prompts) * repeat + number)
        for repeat in range(count)
        for number, prompt in enumerate(prompts)
    ]


def morph(first: str, last: str, count: int, seed: int) -> list[Request]:
    """``count`` clips in even steps from one prompt and ``seed`` to the other and ``seed`` + 1.

    >>> [r.toward for r in morph("piano", "organ", 3, 7)]
    [('organ', 0.0), ('organ', 0.5), ('organ', 1.0)]
    """
    if count < 2:
        raise ValueError(f"a morph has 2 steps or more; got {count}")
    name = f"{slug(f'{first} to {last}')}-{seed}"
    return [
        Request(first, seed, (last, amount), ((seed + 1, amount),), f"{name}-{number:03}")
        for number, amount in enumerate(np.linspace(0, 1, count).tolist())
    ]


def slug(text: str) -> str:
    """A text's words in at most 60 characters that any file system takes.

    >>> slug("Lo-fi piano, slow"), slug("!")
    ('lo-fi-piano-slow', 'clip')
    """
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return "-".join(words)[:60].strip("-") or "clip"
