"""Input of the metrics: embeddings and prompts of clips and of a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from .intervals import MIN_GROUPS
from .metrics.clap_score import ClapScore, clap_score
from .metrics.diversity import SpreadByPrompt, spread_by_prompt
from .metrics.fad import Gaussian, fit_gaussian
from .metrics.prdc import Prdc, precision_recall_coverage

MAX_GROUPS = 200
"""Largest number of groups of a jackknife: more take long and change nothing."""
Prompts = Sequence[str | None]
Rows = Float[np.ndarray, "n dim"]


@dataclass(frozen=True)
class Reference:
    """Embeddings and captions of real clips, from their files or from a statistics file."""

    rows: Rows
    """Unit rows; a statistics file holds at most 5000, evenly spaced."""
    gaussian: Gaussian
    """Fitted to all clips."""
    prompts: Prompts
    """Captions, None where there are none."""
    track_count: int | None = None
    """Tracks that the clips were cut from; None if unknown."""

    @classmethod
    def from_rows(
        cls, rows: Rows, prompts: Prompts | None = None, tracks: int | None = None
    ) -> "Reference":
        """A reference with these rows, and a Gaussian fitted to them."""
        return cls(rows, fit_gaussian(rows), prompts or [None] * len(rows), tracks)


@dataclass(frozen=True)
class Sample:
    """A set of clips to score, and the reference to compare them with.

    A property that cannot be computed raises ValueError with the reason.
    """

    rows: Rows
    prompts: Prompts
    """Prompt of each clip, None if unknown."""
    reference: Reference | None = None
    texts: Mapping[str, Float[np.ndarray, " dim"]] | None = None
    """Unit rows of all prompts and captions by text; None if the embedder knows no text."""

    @property
    def real(self) -> Reference:
        """The reference; ValueError if there is none."""
        if self.reference is None:
            raise ValueError("needs real clips to compare with")
        return self.reference

    @cached_property
    def groups(self) -> list[object]:
        """Group of each clip for the jackknife, by ``jackknife_groups_and_kind``."""
        return jackknife_groups_and_kind(self.prompts)[0]

    @cached_property
    def clap(self) -> ClapScore:
        """CLAP score of the clips that have a prompt."""
        return self._clap_score(self.rows, self.prompts)

    @cached_property
    def real_clap(self) -> ClapScore | None:
        """CLAP score of the real clips with their captions; None if there are none."""
        if self.texts is None or not any(self.real.prompts):
            return None
        return self._clap_score(self.real.rows, self.real.prompts)

    @cached_property
    def spread(self) -> SpreadByPrompt:
        """Diversity within and between prompts."""
        rows, prompts = _rows_with_prompt(self.rows, self.prompts)
        return spread_by_prompt(rows, prompts)

    @cached_property
    def prdc(self) -> Prdc:
        """Precision, recall and coverage."""
        return precision_recall_coverage(self.rows, self.real.rows)

    def _clap_score(self, rows: Rows, prompts: Prompts) -> ClapScore:
        """Score the rows that have a prompt; ValueError if the embedder knows no text."""
        if self.texts is None:
            raise ValueError(
                "this embedder knows no text: use --weights with a CLAP checkpoint, or "
                "--embedder nano-clap for MiniMIDI"
            )
        prompted_rows, own_prompts = _rows_with_prompt(rows, prompts)
        return clap_score(
            prompted_rows, np.stack([self.texts[prompt] for prompt in own_prompts]), own_prompts
        )


def _rows_with_prompt(
    rows: Rows, prompts: Prompts
) -> tuple[Float[np.ndarray, "some dim"], list[str]]:
    """Rows of the clips that have a prompt, and their prompts; ValueError without any."""
    known = [index for index, prompt in enumerate(prompts) if prompt]
    if not known:
        raise ValueError("no clip has a prompt: write it to ID.json or ID.txt beside ID's audio")
    return rows[known], [prompt for prompt in prompts if prompt]


def jackknife_groups_and_kind(prompts: Prompts) -> tuple[list[object], str]:
    """Group of each clip for the jackknife, and whether groups are "prompts" or "clips".

    Groups are prompts if all are known and there are five or more, else single clips. An interval
    over clips says nothing about other prompts. More than 200 groups are merged.
    """
    if None not in prompts and len(set(prompts)) >= MIN_GROUPS:
        return numbered_groups(prompts), "prompts"
    return numbered_groups(range(len(prompts))), "clips"


def numbered_groups(groups: Sequence[object]) -> list[object]:
    """Number the groups; more than 200 are merged with their neighbours.

    >>> numbered_groups(["a", "b", "a"])
    [0, 1, 0]
    """
    place = {group: index for index, group in enumerate(dict.fromkeys(groups))}
    few = max(len(place), MAX_GROUPS) / MAX_GROUPS
    return [int(place[group] / few) for group in groups]
