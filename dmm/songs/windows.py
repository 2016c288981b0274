"""Windows on a long latent: where they lie, and which of two that overlap is believed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

OVERLAP = 0.25
"""Share of a window that the next one covers, too."""


@dataclass(frozen=True)
class Windows:
    """Equally wide windows that cover ``length`` columns; in a loop they go round."""

    width: int
    starts: tuple[int, ...]
    length: int

    def columns(self, number: int) -> Int[np.ndarray, " width"]:
        """Columns that a window sees; a loop shorter than it, more than once."""
        return (self.starts[number] + np.arange(self.width)) % self.length

    def joints(self) -> tuple[tuple[int, int], ...]:
        """First column, and the one after the last, in which a window gives way to the next."""
        last = self.starts[-1] + self.width
        follows = [*self.starts[1:], *([self.length] if last > self.length else [])]
        spans = zip(follows, (start + self.width for start in self.starts), strict=False)
        return tuple((a % self.length, a % self.length + b - a) for a, b in spans)

    @cached_property
    def _sources(self) -> list[Int[np.ndarray, " views"]]:
        """Of each column: where it stands among the windows' columns put side by side."""
        seen = np.concatenate([self.columns(number) for number in range(len(self.starts))])
        order = np.argsort(seen, kind="stable")
        return np.split(order, np.searchsorted(seen[order], np.arange(1, self.length)))

    def swapped(self, turn: int) -> Int[np.ndarray, " length"]:
        """Which of the windows' columns, put side by side, stands for each column in this turn.

        Where windows overlap they take turns from column to column, and from turn to turn: that
        is the self-loop latent swap of Dai et al. 2025 (https://arxiv.org/abs/2502.05130).
        Nothing is averaged, so nothing is blurred.
        """
        return np.array([s[(c + turn) % len(s)] for c, s in enumerate(self._sources)])


def lay_windows(length: int, width: int, overlap: float = OVERLAP, loop: bool = False) -> Windows:
    """The fewest windows that overlap by at least that share, evenly spread.

    A piece shorter than one window, and no loop, becomes as long as it.

    >>> lay_windows(56, 32).starts, lay_windows(60, 32).starts
    ((0, 24), (0, 14, 28))
    >>> lay_windows(48, 32, loop=True).joints()
    ((24, 32), (0, 8))
    """
    stride = max(1, round(width * (1 - overlap)))
    if loop:
        n = -(-length // stride)
        starts = np.arange(n) * length / n
    else:
        length = max(length, width)
        n = -(-(length - width) // stride) + 1
        starts = np.linspace(0, length - width, n)
    return Windows(width, tuple(starts.round().astype(int).tolist()), length)
