"""What scores are computed from: clips and real ones as embeddings, with the words they go by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from .intervals import MIN_GROUPS
from .metrics.clap_score import ClapScore, clap_score
from .metrics.diversity import Spread, spread
from .metrics.fad import Gaussian, statistics
from .metrics.prdc import Prdc, precision_recall_coverage

MAX_GROUPS = 200
"""Leaving out more groups than this, one at a time, takes long and tells nothing more."""
Prompts = Sequence[str | None]
Rows = Float[np.ndarray, "n dim"]


@dataclass(frozen=True)
class Reference:
    """Real clips, or what a statistics file keeps of them."""

    rows: Rows
    """Unit rows; of very many clips evenly spaced ones."""
    gaussian: Gaussian
    """Of all clips."""
    prompts: Prompts
    """Captions, None where there are none."""

    @classmethod
    def of(cls, rows: Rows, prompts: Prompts | None = None) -> "Reference":
        """All of a set of real clips."""
        return cls(rows, statistics(rows), prompts or [None] * len(rows))


@dataclass(frozen=True)
class Sample:
    """One set of clips to be scored, and what it is scored against.

    What cannot be had of it is a ValueError whose text says why.
    """

    rows: Rows
    prompts: Prompts
    """What each clip was asked to be, None where nobody knows."""
    reference: Reference | None = None
    texts: Mapping[str, Float[np.ndarray, " dim"]] | None = None
    """Unit rows of all prompts and captions; None if the embedder does not read."""

    @property
    def real(self) -> Reference:
        """The reference, for scores that need one."""
        if self.reference is None:
            raise ValueError("needs real clips to compare with")
        return self.reference

    @cached_property
    def groups(self) -> list[object]:
        """What leaves together in intervals: see ``interval_groups``."""
        return interval_groups(self.prompts)[0]

    @cached_property
    def clap(self) -> ClapScore:
        """Clips against their own prompts; those without one are left out."""
        return self._words(self.rows, self.prompts)

    @cached_property
    def real_clap(self) -> ClapScore | None:
        """Real clips against their own captions; None where they have none."""
        if self.texts is None or not any(self.real.prompts):
            return None
        return self._words(self.real.rows, self.real.prompts)

    @cached_property
    def spread(self) -> Spread:
        """Variety within and between prompts."""
        rows, prompts = _with_prompt(self.rows, self.prompts)
        return spread(rows, prompts)

    @cached_property
    def prdc(self) -> Prdc:
        """Precision, recall and coverage."""
        return precision_recall_coverage(self.rows, self.real.rows)

    def _words(self, rows: Rows, prompts: Prompts) -> ClapScore:
        if self.texts is None:
            raise ValueError("this embedder hears but does not read: use nano-clap or clap")
        kept, asked = _with_prompt(rows, prompts)
        return clap_score(kept, np.stack([self.texts[prompt] for prompt in asked]), asked)


def _with_prompt(rows: Rows, prompts: Prompts) -> tuple[Float[np.ndarray, "some dim"], list[str]]:
    known = [index for index, prompt in enumerate(prompts) if prompt]
    if not known:
        raise ValueError("no clip has a prompt: put it into ID.json or ID.txt beside ID's sound")
    return rows[known], [prompt for prompt in prompts if prompt]


def interval_groups(prompts: Prompts) -> tuple[list[object], str]:
    """What leaves together in intervals: prompts if all are known and enough, else single clips.

    The second value says which, "prompts" or "clips": an interval over the clips of few prompts
    promises nothing for other prompts. Of more than 200, neighbours leave together.
    """
    if None not in prompts and len(set(prompts)) >= MIN_GROUPS:
        return merged(prompts), "prompts"
    return merged(range(len(prompts))), "clips"


def merged(groups: Sequence[object]) -> list[object]:
    """The groups, joined with their neighbours where there are more than 200.

    >>> merged(["a", "b", "a"])
    [0, 1, 0]
    """
    place = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    few = max(len(place), MAX_GROUPS) / MAX_GROUPS
    return [int(place[group] / few) for group in groups]
