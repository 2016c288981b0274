"""What every result says of itself: embedder, sets of clips and figures, as JSON values."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from dmm.embedders import Embedder, TextEmbedder

from .bands import bands_for, first_model
from .cautions import cautions, unread
from .figures import Figure
from .metric_table import METRICS
from .sets import ClipSet, short_names


def embedder_json(embedder: Embedder) -> dict[str, Any]:
    """Its whole identity, and how it prepares a file."""
    return {**asdict(embedder.identity), "prepares": embedder.protocol}


def set_json(sets: Mapping[str, ClipSet]) -> dict[str, Any]:
    """By role: the folder's name, how many clips were scored and what was left out.

    Names, not paths: a result must not depend on where it was made.
    """
    return {
        role: {
            "folder": name,
            "n": len(own),
            "prompts": len({prompt for prompt in own.prompts if prompt}),
            "n_left_out": len(own.clips.skipped),
            "left_out": [_without_path(x, {str(own.folder): name}) for x in own.clips.skipped],
        }
        for (role, own), name in zip(sets.items(), _names(sets), strict=True)
    }


def cautions_json(
    sets: Mapping[str, ClipSet],
    embedder: Embedder,
    texts: Mapping[str, Float[np.ndarray, " dim"]] | None,
) -> list[dict[str, Any]]:
    """What makes the scores of "clips" doubtful: a sentence each, and the clips it is about.

    Beside them "real" and perhaps "train" clips; ``texts`` are the prompts as the embedder reads
    them, None if it did not.
    """
    real, train = (sets[role].clips if role in sets else None for role in ("real", "train"))
    own = sets["clips"]
    found = cautions(own.clips, real, train)
    if texts and isinstance(embedder, TextEmbedder):
        found += unread(own.clips, own.prompts, texts, embedder)
    names = dict(zip((str(own.folder) for own in sets.values()), _names(sets), strict=True))
    return [
        {"says": one.sentence, "clips": [_without_path(line, names) for line in one.names]}
        for one in found
    ]


def _without_path(line: str, names: Mapping[str, str]) -> str:
    """A line with the names of folders in place of their paths."""
    for path in sorted(names, key=len, reverse=True):
        line = line.replace(path, names[path])
    return line


def _names(sets: Mapping[str, ClipSet]) -> list[str]:
    return short_names([own.folder for own in sets.values()])


def figures_json(figures: Mapping[str, Figure], embedder: Embedder) -> dict[str, Any]:
    """By name: the figure, whether there were clips enough to trust it, and its owner's band."""
    return {name: _figure_json(name, figure, embedder) for name, figure in figures.items()}


def _figure_json(name: str, figure: Figure, embedder: Embedder) -> dict[str, Any]:
    trust = METRICS[name].trust
    content = asdict(figure)
    for key in ("span", "real_span"):
        start = key.removesuffix("span")
        content[f"{start}low"], content[f"{start}high"] = content.pop(key)
    return content | {
        "trusted_from": trust.trusted_from,
        "caution": None if figure.value is None else trust.caution(figure.n),
        "band": _band_json(name, figure, embedder),
    }


def _band_json(name: str, figure: Figure, embedder: Embedder) -> dict[str, Any] | None:
    """How the first model's owner would have read the value, where that may be said."""
    identity = embedder.identity
    bands = bands_for(name, identity.name, identity.protocol, figure.n)
    if bands is None or figure.value is None:
        return None
    return {
        "says": bands.word(figure.value),
        "first_model": bands.value,
        "of": bands.clips,
        "caveats": [bands.caveat, first_model().source.caveat],
    }
