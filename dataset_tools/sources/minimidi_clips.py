"""Source ``minimidi``, generated music: ``dmm data build --source minimidi --count 500``.

Nothing is downloaded: the composer, synthesiser and singer are in ``minimidi/`` beside this file.
Every track is one clip long, has the exact facts about itself (``truth``), and a caption that names
some of them, such as style, instruments, mood and tempo. Example of an id:
``minimidi-lo-fi-7-0123456789``.
"""

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from dmm.errors import InputError

from . import Rejected, Sound, SourceRequest, Track, text_sha256, track_id
from .minimidi import BASE_STYLES, Piece, caption, compose, piece_facts, render, to_pretty_midi
from .minimidi.drums import KITS
from .minimidi.instruments import INSTRUMENTS
from .minimidi.render import PEAK
from .minimidi.singers import KINDS, random_voice
from .minimidi.singing import sing
from .minimidi.soundfont import checked_soundfont_sha256, render_by_soundfont
from .minimidi.styles import require_style, styles_with_pairs

LICENCE = "CC0-1.0"
"""The pieces are the generator's work alone."""
MAX_TRIES = 1000
"""Largest number of pieces composed, on average, to find one with the required instruments."""
SINGERS, MIXED_PLAYERS = 2045, 2048
"""Random streams that choose the pieces with a voice, and with instruments of any base style."""
NO_VOICE_CAPTIONS = 0.3
"""Share of pieces with a voice whose caption does not mention it, as in people's captions."""
VOICE_WORDS = {
    "female vocals": ("female vocals", "female vocals", "female singer", "a woman singing"),
    "male vocals": ("male vocals", "male vocals", "male singer", "a man singing"),
    "choir": ("choir", "choir", "choral singing"),
    "spoken word": ("spoken word", "a voice speaking"),
    "rap": ("rap", "rapping", "rap vocals"),
}
assert VOICE_WORDS.keys() == set(KINDS)


def tracks(request: SourceRequest) -> Iterator[Track | Rejected]:
    """Yield ``request.count`` pieces: styles in turn (default: the base styles), seeds ascending.

    With ``request.instruments``, pieces in which not all of them play are skipped. A share
    ``request.vocals`` of the seeds has a voice, and a share ``request.mixed_players`` the
    instruments of all base styles; the pieces of other seeds depend on neither. InputError for a
    share outside 0..1, unknown names, a SoundFont that cannot be played, and if too few pieces have
    the required instruments.
    """
    for name, share in (("vocals", request.vocals), ("mixed players", request.mixed_players)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} {share:g}: a share lies between 0 and 1")
    styles = _styles_to_generate(request)
    required = _required_instruments(request)
    sha256 = checked_soundfont_sha256(request.soundfont) if request.soundfont else None
    found, tried = 0, 0
    while found < request.count:
        style, seed = styles[tried % len(styles)], request.seed + tried
        mixed = _is_in_share(MIXED_PLAYERS, seed, request.mixed_players)
        compose_again = partial(compose, seed, style, request.duration_s, request.unseen, mixed)
        tried += 1
        if not required or required <= _instruments_and_kit(compose_again()):
            found += 1
            yield _track_of_piece(compose_again, request, sha256)
        elif tried > MAX_TRIES * (found + 1):
            raise InputError(
                f"{found} of the first {tried} pieces play {' and '.join(sorted(required))} "
                f"together in {', '.join(styles)}; ask for fewer instruments, or for other styles"
            )


def _instruments_and_kit(piece: Piece) -> set[str]:
    """Names of all instruments of a piece, with its drum kit or "no drums"."""
    return {*piece.instruments, piece.drums or "no drums"}


def _required_instruments(request: SourceRequest) -> set[str]:
    """Instruments that must play; InputError lists the known ones if one is unknown."""
    known = [*INSTRUMENTS, *KITS]
    if unknown := [name for name in request.instruments if name not in known]:
        raise InputError(f"no instrument {unknown[0]!r}; known: {', '.join(known)}")
    return set(request.instruments)


def _styles_to_generate(request: SourceRequest) -> list[str]:
    """Styles to generate; InputError for unknown ones, and for those without an unseen pair."""
    for style in request.styles:
        require_style(style, request.unseen)
    able = styles_with_pairs(request.unseen)
    return list(request.styles) or [style for style in able if style in BASE_STYLES]


def _track_of_piece(
    compose_again: Callable[[], Piece], request: SourceRequest, soundfont_sha256: str | None
) -> Track:
    """Make the track of a piece; it composes the piece again when its audio is read."""
    piece = compose_again()
    words, facts = caption(piece), piece_facts(piece)
    is_vocal = _is_in_share(SINGERS, piece.seed, request.vocals)
    if is_vocal:
        words = _caption_with_voice(words, piece.seed)
        facts |= {"vocals": True, "voice": random_voice(piece.seed).kind}
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
        stream=partial(_render_blocks, compose_again, request.soundfont, is_vocal),
        licence=LICENCE,
        truth=facts,
        midi=partial(_midi_bytes, compose_again),
    )


def _is_in_share(stream: int, seed: int, share: float) -> bool:
    """Whether a seed is in a share of all; a larger share of a stream only adds seeds."""
    return bool(np.random.default_rng([stream, seed]).random() < share)


def _caption_with_voice(caption_text: str, seed: int) -> str:
    """Add words for the voice after a random part; in 30 % of the pieces return it unchanged."""
    rng = np.random.default_rng([2046, seed])
    if rng.random() < NO_VOICE_CAPTIONS:
        return caption_text
    parts = caption_text.split(", ")
    name = str(rng.choice(VOICE_WORDS[random_voice(seed).kind]))
    parts.insert(int(rng.integers(1, len(parts) + 1)), name)
    return ", ".join(parts)


def _render_blocks(
    compose_again: Callable[[], Piece],
    soundfont: Path | None,
    is_vocal: bool,
    sr: int,
    channels: int,
) -> list[Sound]:
    """Render the piece and its voice as one block: stereo, or the mean of both channels."""
    piece = compose_again()
    sound = render_by_soundfont(piece, soundfont, sr) if soundfont else render(piece, sr)
    if is_vocal:
        sound = sound + sing(piece, sr, piece.seed)
        sound *= np.float32(min(1.0, PEAK / np.abs(sound).max()))
    return [sound if channels == 2 else sound.mean(0, keepdims=True)]


def _midi_bytes(compose_again: Callable[[], Piece]) -> bytes:
    """The piece as a MIDI file."""
    file = io.BytesIO()
    to_pretty_midi(compose_again()).write(file)
    return file.getvalue()
