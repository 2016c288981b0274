"""Clips of the procedural MiniMIDI generator: ``dmm data build --source minimidi --count 500``.

URL, licence, size, date: none to fetch; the composer and synthesiser are in ``minimidi/`` beside
this file. Every track is one clip long and carries its exact truth. Example row: id
``minimidi-lofi-7-0123456789``, origin "truth", a caption naming the style, instruments and tempo.
"""

import json
from collections.abc import Iterator
from functools import partial

import numpy as np
from jaxtyping import Float

from dmm.errors import InputError

from . import Rejected, SourceRequest, Track, text_sha256, track_id
from .minimidi import BASE_STYLES, HELD_OUT_STYLES, caption, compose, render, truth


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield ``request.count`` pieces, styles in turn (default: not the held-out), seeds upward."""
    known = [*BASE_STYLES, *HELD_OUT_STYLES]
    styles = request.styles or tuple(BASE_STYLES)
    if unknown := [style for style in styles if style not in known]:
        raise InputError(f"no style {unknown[0]!r}; known: {', '.join(known)}")
    for index in range(request.count):
        style = styles[index % len(styles)]
        yield _track(request.seed + index, style, request.duration_s, request.licence)


def _track(seed: int, style: str, duration_s: float, licence: str | None) -> Track:
    piece = compose(seed, style=style, duration_s=duration_s)
    words, facts = caption(piece), truth(piece)
    identity = json.dumps(["minimidi", style, seed, duration_s, words, facts], sort_keys=True)
    sha256 = text_sha256(identity)
    return Track(
        id=track_id(f"minimidi-{style}-{seed}", sha256),
        source="minimidi",
        input=f"minimidi {style} {seed}",
        caption=words,
        caption_origin="truth",
        sha256=sha256,
        load=partial(_load, seed, style, duration_s),
        licence=licence,
        truth=facts,
    )


def _load(
    seed: int, style: str, duration_s: float, sr: int, channels: int
) -> Float[np.ndarray, "channels samples"]:
    """Render the piece, ``duration_s`` long; mono is the mean of both sides."""
    sound = render(compose(seed, style=style, duration_s=duration_s), sr)
    return sound if channels == 2 else sound.mean(0, keepdims=True)
