"""Overlapping windows on a long latent: their places, and which of two supplies a column."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

OVERLAP = 0.25
"""Share of a window that the next one covers too."""


@dataclass(frozen=True)
class Windows:
    """Windows of equal width that cover ``length`` columns; in a loop they wrap around."""

    width: int
    starts: tuple[int, ...]
    length: int

    def columns(self, number: int) -> Int[np.ndarray, " width"]:
        """Columns of a window; a loop shorter than a window occurs in it more than once."""
        return (self.starts[number] + np.arange(self.width)) % self.length

    def joints(self) -> tuple[tuple[int, int], ...]:
        """Overlaps of a window with the next: first column, and one past the last."""
        last = self.starts[-1] + self.width
        follows = [*self.starts[1:], *([self.length] if last > self.length else [])]
        spans = zip(follows, (start + self.width for start in self.starts), strict=False)
        return tuple((a % self.length, a % self.length + b - a) for a, b in spans)

    @cached_property
    def _sources_by_column(self) -> list[Int[np.ndarray, " views"]]:
        """For each column, its indices among the windows' columns laid side by side."""
        seen = np.concatenate([self.columns(number) for number in range(len(self.starts))])
        order = np.argsort(seen, kind="stable")
        return np.split(order, np.searchsorted(seen[order], np.arange(1, self.length)))

    def sources(self, turn: int) -> Int[np.ndarray, " length"]:
        """For each column, the index that supplies it among the windows' columns side by side.

        Overlapping windows alternate from column to column and from turn to turn: the self-loop
        latent swap of Dai et al. 2025 (https://arxiv.org/abs/2502.05130). Nothing is averaged, so
        nothing is blurred.
        """
        return np.array([s[(c + turn) % len(s)] for c, s in enumerate(self._sources_by_column)])


def lay_windows(length: int, width: int, overlap: float = OVERLAP, loop: bool = False) -> Windows:
    """The fewest windows, evenly spaced, that overlap by at least that share of their width.

    Unless it is a loop, a length below one window is extended to one.

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
