"""Votes on the lexicon's terms by the trained classifiers of an embedder, where it has any.

nano-clap classifies MiniMIDI's instruments, styles, tempo classes and keys. In music of its kind
such votes are far more often right than a comparison of sound and words (``docs/captions.md``).
"""

from collections.abc import Mapping, Sequence

from .captions.lexicon import Lexicon
from .signal_votes import Votes

Attributes = Mapping[str, Mapping[str, float]]
"""Attribute ("instrument", "tempo", "key") to label to probability."""
PRESENT = 0.5
"""Probability from which a label is present."""
VOTED = ("instrument", "genre")
"""Attributes whose labels are votes on terms of the lexicon; the others decide tempo and key."""


def mean_attributes(windows: Sequence[Attributes]) -> dict[str, dict[str, float]]:
    """Mean probabilities over a track's windows, which all have the same labels; empty for none."""
    if not windows:
        return {}
    return {
        attribute: {
            label: sum(window[attribute][label] for window in windows) / len(windows)
            for label in labels
        }
        for attribute, labels in windows[0].items()
    }


def classifier_votes(attributes: Attributes, lexicon: Lexicon) -> Votes:
    """Votes on the lexicon's terms for the classified instruments and genres.

    Labels without a term in the lexicon are left out. Where several labels mean one term, the most
    probable counts: the styles "dub techno" and "techno" both mean techno.
    """
    probabilities: dict[str, dict[str, float]] = {}
    for attribute in VOTED:
        for label, probability in attributes.get(attribute, {}).items():
            for term in lexicon.find_mentions(label):
                if term.facet == attribute:
                    values = probabilities.setdefault(term.facet, {})
                    values[term.value] = max(values.get(term.value, 0.0), probability)
    return {
        facet: {value: 1 if p >= PRESENT else -1 for value, p in values.items()}
        for facet, values in probabilities.items()
    }


def most_probable(attributes: Attributes, attribute: str) -> str | None:
    """The most probable label of an attribute; None where the attribute is not classified."""
    labels = attributes.get(attribute)
    return max(sorted(labels), key=labels.__getitem__) if labels else None
