"""Scores, clip sets, cautions and the embedder as JSON values, for ``--json`` and report.json."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Float

from dmm.embedders import Embedder, TextEmbedder

from .bands import bands_for, read_bands_file
from .cautions import caution_unknown_music, caution_unknown_prompts, cautions_of_files
from .metric_table import METRICS
from .metric_values import MetricValue
from .sets import ClipSet, short_names


def embedder_json(embedder: Embedder) -> dict[str, Any]:
    """Identity of the embedder, and how it prepares a file."""
    return {**asdict(embedder.identity), "prepares": embedder.protocol}


def sets_json(sets: Mapping[str, ClipSet]) -> dict[str, Any]:
    """For each role: the folder's name, the number of scored clips, and skipped files.

    Folders are given by short names, not paths: a result must not depend on where it was made.
    """
    return {
        role: {
            "folder": name,
            "n": len(clip_set),
            "prompts": len({prompt for prompt in clip_set.prompts if prompt}),
            "n_left_out": len(clip_set.clips.skipped),
            "left_out": [
                _with_short_names(x, {str(clip_set.folder): name}) for x in clip_set.clips.skipped
            ],
            **({"tracks": clip_set.track_count} if role == "real" else {}),
        }
        for (role, clip_set), name in zip(sets.items(), _short_folder_names(sets), strict=True)
    }


def cautions_json(
    sets: Mapping[str, ClipSet],
    embedder: Embedder,
    texts: Mapping[str, Float[np.ndarray, " dim"]] | None,
) -> list[dict[str, Any]]:
    """Cautions about the scores of "clips": a sentence each, and the clips concerned.

    ``sets`` may hold "real" and "train" too. ``texts`` are the embedded prompts, or None.
    """
    real, train = (sets[role].clips if role in sets else None for role in ("real", "train"))
    generated = sets["clips"]
    doubts = caution_unknown_music(embedder, real) if real else ()
    found = [*doubts, *cautions_of_files(generated.clips, real, train)]
    if texts and isinstance(embedder, TextEmbedder):
        found += caution_unknown_prompts(generated.clips, generated.prompts, texts, embedder)
    names = dict(
        zip(
            (str(generated.folder) for generated in sets.values()),
            _short_folder_names(sets),
            strict=True,
        )
    )
    return [
        {
            "says": one.sentence,
            "clips": [_with_short_names(line, names) for line in one.names],
            "voids": list(one.voids),
        }
        for one in found
    ]


def _with_short_names(line: str, names: Mapping[str, str]) -> str:
    """Replace the paths of folders by their short names."""
    for path in sorted(names, key=len, reverse=True):
        line = line.replace(path, names[path])
    return line


def _short_folder_names(sets: Mapping[str, ClipSet]) -> list[str]:
    return short_names([clip_set.folder for clip_set in sets.values()])


def scores_json(scores: Mapping[str, MetricValue], embedder: Embedder) -> dict[str, Any]:
    """For each metric: its value, a caution if it is of too few clips, and its rating band."""
    return {name: _score_json(name, score, embedder) for name, score in scores.items()}


def _score_json(name: str, score: MetricValue, embedder: Embedder) -> dict[str, Any]:
    trust = METRICS[name].trust
    content = asdict(score)
    for key in ("interval", "real_interval"):
        start = key.removesuffix("interval")
        content[f"{start}low"], content[f"{start}high"] = content.pop(key)
    return content | {
        "trusted_from": trust.trusted_from,
        "caution": None if score.value is None else trust.caution(score.n),
        "band": _band_json(name, score, embedder),
    }


def _band_json(name: str, score: MetricValue, embedder: Embedder) -> dict[str, Any] | None:
    """Rating of the value by the first model's owner, if the bands apply."""
    identity = embedder.identity
    bands = bands_for(name, identity.name, identity.protocol, score.n)
    if bands is None or score.value is None:
        return None
    return {
        "says": bands.rating_of(score.value),
        "first_model": bands.value,
        "of": bands.clips,
        "caveats": [bands.caveat, read_bands_file().source.caveat],
    }
