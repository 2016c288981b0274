"""Clips of the procedural MiniMIDI generator: ``dmm data build --source minimidi --count 500``.

URL, licence, size, date: none to fetch; the composer, synthesiser and singer are in ``minimidi/``
beside this file. Every track is one clip long and carries its exact truth. Example row: id
``minimidi-lofi-7-0123456789``, origin "truth", a caption naming the style, instruments and tempo.
"""

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from dmm.errors import InputError

from . import Rejected, Sound, SourceRequest, Track, text_sha256, track_id
from .minimidi import BASE_STYLES, HELD_OUT_STYLES, Piece, caption, compose, render, to_midi, truth
from .minimidi.drums import KITS
from .minimidi.instruments import INSTRUMENTS
from .minimidi.render import PEAK
from .minimidi.singers import KINDS, draw_voice
from .minimidi.soundfont import check_soundfont, render_soundfont
from .minimidi.styles import STYLES, leads_and_accompaniments
from .minimidi.voice import sing

LICENCE = "CC0-1.0"
"""Nobody's work is in these pieces but the generator's."""
PATIENCE = 1000
"""Pieces tried for one that plays the instruments asked for."""
SILENT_CAPTIONS = 0.3
"""Share of vocal pieces whose caption says nothing of the voice, as listeners' captions do."""
VOICE_WORDS = {
    "female vocals": ("female vocals", "female vocals", "female singer", "a woman singing"),
    "male vocals": ("male vocals", "male vocals", "male singer", "a man singing"),
    "choir": ("choir", "choir", "choral singing"),
    "spoken word": ("spoken word", "a voice speaking"),
    "rap": ("rap", "rapping", "rap vocals"),
}
assert VOICE_WORDS.keys() == set(KINDS)


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield ``request.count`` pieces, styles in turn (default: not the held-out), seeds upward.

    With ``request.instruments`` pieces in which not all of them play are passed over. A share
    ``request.vocals`` of the seeds has a singer; the other pieces are what they are without.
    """
    if not 0 <= request.vocals <= 1:
        raise InputError(f"vocals {request.vocals:g}: a share lies between 0 and 1")
    styles = _styles(request)
    wanted = _instruments(request)
    sha256 = check_soundfont(request.soundfont) if request.soundfont else None
    found, tried = 0, 0
    while found < request.count:
        style, seed = styles[tried % len(styles)], request.seed + tried
        composed = partial(compose, seed, style, request.duration_s, request.unseen)
        tried += 1
        if not wanted or wanted <= _playing(composed()):
            found += 1
            yield _track(composed, request, sha256)
        elif tried > PATIENCE * (found + 1):
            raise InputError(
                f"{found} of the first {tried} pieces play {' and '.join(sorted(wanted))} together "
                f"in {', '.join(styles)}; ask for fewer instruments, or for other styles"
            )


def _playing(piece: Piece) -> set[str]:
    return {*piece.instruments, piece.drums or "no drums"}


def _instruments(request: SourceRequest) -> set[str]:
    """The instruments asked for, or InputError naming those there are."""
    known = [*INSTRUMENTS, *KITS]
    if unknown := [name for name in request.instruments if name not in known]:
        raise InputError(f"no instrument {unknown[0]!r}; known: {', '.join(known)}")
    return set(request.instruments)


def _styles(request: SourceRequest) -> list[str]:
    """The styles asked for, or InputError naming those there are."""
    known = [*BASE_STYLES, *HELD_OUT_STYLES]
    able = [style for style in known if leads_and_accompaniments(STYLES[style], request.unseen)]
    for style in request.styles:
        if style not in known:
            raise InputError(f"no style {style!r}; known: {', '.join(known)}")
        if style not in able:
            raise InputError(f"no unseen pair of instruments in {style!r}; in: {', '.join(able)}")
    return list(request.styles) or [style for style in able if style in BASE_STYLES]


def _track(
    composed: Callable[[], Piece], request: SourceRequest, soundfont_sha256: str | None
) -> Track:
    """A track that composes its piece again when asked for sound: thousands need little memory."""
    piece = composed()
    words, facts = caption(piece), truth(piece)
    is_vocal = has_singer(piece.seed, request.vocals)
    if is_vocal:
        words = _with_voice(words, piece.seed)
        facts |= {"vocals": True, "voice": draw_voice(piece.seed).kind}
    if soundfont_sha256:
        facts["soundfont_sha256"] = soundfont_sha256
    identity = ["minimidi", piece.style, piece.seed, piece.duration_s, words, facts]
    if request.unseen:
        identity.append("unseen")
    sha256 = text_sha256(json.dumps(identity, sort_keys=True))
    return Track(
        id=track_id(f"minimidi-{piece.style}-{piece.seed}", sha256),
        source="minimidi",
        input=f"minimidi {piece.style} {piece.seed}",
        caption=words,
        caption_origin="truth",
        sha256=sha256,
        stream=partial(_stream, composed, request.soundfont, is_vocal),
        licence=request.licence or LICENCE,
        truth=facts,
        midi=partial(_midi, composed),
    )


def has_singer(seed: int, share: float) -> bool:
    """Whether the piece of a seed is among the ``share`` that is sung; more with a larger share."""
    return bool(np.random.default_rng([2045, seed]).random() < share)


def _with_voice(words: str, seed: int) -> str:
    """The caption with the voice named somewhere in it, or as it is."""
    rng = np.random.default_rng([2046, seed])
    if rng.random() < SILENT_CAPTIONS:
        return words
    parts = words.split(", ")
    said = str(rng.choice(VOICE_WORDS[draw_voice(seed).kind]))
    parts.insert(int(rng.integers(1, len(parts) + 1)), said)
    return ", ".join(parts)


def _stream(
    composed: Callable[[], Piece], soundfont: Path | None, is_vocal: bool, sr: int, channels: int
) -> list[Sound]:
    """Render the piece, and its singer, in one block; mono is the mean of both sides."""
    piece = composed()
    sound = render_soundfont(piece, soundfont, sr) if soundfont else render(piece, sr)
    if is_vocal:
        sound = sound + sing(piece, sr, piece.seed)
        sound *= np.float32(min(1.0, PEAK / np.abs(sound).max()))
    return [sound if channels == 2 else sound.mean(0, keepdims=True)]


def _midi(composed: Callable[[], Piece]) -> bytes:
    file = io.BytesIO()
    to_midi(composed()).write(file)
    return file.getvalue()
