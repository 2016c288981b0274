"""Labelling functions that vote on whether a track has a voice: by captions, tags, flags, sound.

Each returns, for the evidence of a track, 1 (a voice), -1 (instrumental) or 0 (abstains). None of
them decides: the label model learns how far to trust each, see ``gate.py``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .evidence import VoiceEvidence
from .voice_mentions import SUNG_GENRE, mentions_voice, says_instrumental

HEARD_VOICE, HEARD_NONE = 0.9, 0.4
"""The classifier votes for a voice above the first probability, against one below the second."""


def caption_vote(text: str) -> int:
    """Vote for a voice if the caption mentions one, against one if it says instrumental."""
    return 1 if mentions_voice(text) else -int(says_instrumental(text))


def tag_voice(evidence: VoiceEvidence) -> int:
    """Vote for a voice if a tag names one: ``instrument---voice``, "female vocals", "rap"."""
    return int(any(map(mentions_voice, _tag_texts(evidence.tags))))


def tag_sung_genre(evidence: VoiceEvidence) -> int:
    """Vote for a voice if a tag names a genre that is sung: ``genre---singersongwriter``."""
    return int(any(map(SUNG_GENRE.search, _tag_texts(evidence.tags))))


def tag_instrumental(evidence: VoiceEvidence) -> int:
    """Vote against a voice if a tag says instrumental: ``genre---instrumentalpop``, "no vocals"."""
    return -int(any(map(says_instrumental, _tag_texts(evidence.tags))))


def lyrics(evidence: VoiceEvidence) -> int:
    """Vote for a voice if the track has lyrics; abstain if it has none, which proves little."""
    return int(bool(evidence.has_lyrics))


def instrumental_flag(evidence: VoiceEvidence) -> int:
    """Vote as the source's flag says: what its author asked for, not always what came out."""
    return 0 if evidence.instrumental is None else -1 if evidence.instrumental else 1


def heard(evidence: VoiceEvidence) -> int:
    """Vote by the classifier: for a voice in a fifth of the windows, against one in under a tenth.

    It is one function and not two, because the label model assumes independent errors.
    """
    if not evidence.window_probabilities:
        return 0
    fifth, tenth = np.quantile(evidence.window_probabilities, (0.8, 0.9))
    return 1 if fifth > HEARD_VOICE else -int(tenth < HEARD_NONE)


def _tag_texts(tags: Iterable[str]) -> list[str]:
    return [tag.rpartition("---")[2].replace("_", " ") for tag in tags]


Shares = tuple[float, float, float]


@dataclass(frozen=True)
class LabellingFunction:
    """A function that votes on tracks, and how it is expected to vote before any data are seen."""

    vote: Callable[[VoiceEvidence], int]
    applies: Callable[[VoiceEvidence], bool]
    """Whether the track has the evidence it reads; if not, its abstention is not counted."""
    instrumental: Shares
    """Expected shares of votes -1, 0 and 1 on instrumental tracks."""
    vocal: Shares
    """Expected shares of votes -1, 0 and 1 on tracks with a voice."""
    prior_tracks: int = 200
    """Weight of the expectation: as if observed on this many tracks of each kind."""
    caption_number: int | None = None
    """Number of the caption it reads, from 1; None if it reads other evidence. The functions of
    all captions are equally trusted, so that the order of the captions does not matter."""

    @property
    def kind(self) -> str:
        """Its name in reports; functions of one kind share their learnt accuracy."""
        return "caption" if self.caption_number else self.vote.__name__

    @property
    def name(self) -> str:
        """Its name in the manifest."""
        return f"caption_{self.caption_number}" if self.caption_number else self.kind


def _has_tags(evidence: VoiceEvidence) -> bool:
    return bool(evidence.tags)


def _shares_voting_for(instrumental: float, vocal: float) -> tuple[Shares, Shares]:
    """Expected shares of a function that only votes 1: on these shares of each kind of track."""
    return (0.001, 0.999 - instrumental, instrumental), (0.001, 0.999 - vocal, vocal)


def _shares_voting_against(instrumental: float, vocal: float) -> tuple[Shares, Shares]:
    """Expected shares of a function that only votes -1: on these shares of each kind of track."""
    return (instrumental, 0.999 - instrumental, 0.001), (vocal, 0.999 - vocal, 0.001)


FUNCTIONS = (
    LabellingFunction(tag_voice, _has_tags, *_shares_voting_for(0.002, 0.3)),
    LabellingFunction(tag_sung_genre, _has_tags, *_shares_voting_for(0.005, 0.1)),
    LabellingFunction(tag_instrumental, _has_tags, *_shares_voting_against(0.1, 0.005)),
    LabellingFunction(lyrics, lambda e: e.has_lyrics is not None, *_shares_voting_for(0.01, 0.8)),
    LabellingFunction(
        instrumental_flag,
        lambda e: e.instrumental is not None,
        (0.8, 0.1, 0.1),
        (0.1, 0.1, 0.8),
        40,
    ),
    LabellingFunction(
        heard,
        lambda e: bool(e.window_probabilities),
        (0.4, 0.54, 0.06),
        (0.05, 0.15, 0.8),
        40,
    ),
)
"""All labelling functions but those of captions. Expectations for captions and tags were measured
on Song Describer's 706 tracks (``docs/vocals.md``); those for flags, lyrics and classifiers are
guesses, with a smaller weight for the classifier and the flag. They matter most in a small
collection.
"""


def functions_for_collection(evidence: Sequence[VoiceEvidence]) -> tuple[LabellingFunction, ...]:
    """All labelling functions for a collection: one for each caption number, then ``FUNCTIONS``."""
    most = max((len(track.captions) for track in evidence), default=0)
    return (*(_caption_function(number) for number in range(1, most + 1)), *FUNCTIONS)


def _caption_function(number: int) -> LabellingFunction:
    """The function that votes by each track's caption of this number, from 1."""

    def has_caption(evidence: VoiceEvidence) -> bool:
        return len(evidence.captions) >= number

    def vote(evidence: VoiceEvidence) -> int:
        return caption_vote(evidence.captions[number - 1]) if has_caption(evidence) else 0

    shares = (0.33, 0.63, 0.04), (0.01, 0.25, 0.74)
    return LabellingFunction(vote, has_caption, *shares, caption_number=number)
