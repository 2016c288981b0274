"""A long piece on disk: sound, wide mel image, cue sheet, and JSON with its seam score.

The JSON is written last: where it stands, the other three do too.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from ..codec.decode import CHUNK, Quality, soft_limit, stream_decode
from ..codec.image import write_image
from ..codec.mel import MelFormat
from ..errors import InputError
from ..files import write_text
from ..progress import progress_bar
from .joining import to_layers
from .mastering import Mastered, check_sound_name, write_sound
from .seams import band_power, seam_score

FRAMES_PER_S = 75
"""Of a cue sheet's times."""
MOST_TRACKS = 99
"""That a cue sheet can have."""

Span = tuple[int, int]
"""First image column, and the one after the last."""


@dataclass(frozen=True)
class Track:
    """A part of the piece that players can jump to."""

    start_s: float
    title: str


@dataclass(frozen=True)
class Piece:
    """A long piece before it is heard."""

    image: UInt8[np.ndarray, "rows frames *rgb"]
    fmt: MelFormat
    tracks: tuple[Track, ...]
    joints: tuple[Span, ...]
    """Where one clip or window gives way to the next."""
    facts: dict[str, Any]
    """What its JSON says of how it was made."""
    changes: tuple[Span, ...] = ()
    """Where the music is meant to change: neither joints nor like other places."""
    loop: bool = False
    n_samples: int | None = None
    """Exact length of a loop; None is a hop for every column."""

    @property
    def rate_hz(self) -> float:
        """Image columns a second."""
        return self.fmt.sr / self.fmt.hop_length


def check_out(out: Path, inputs: Sequence[Path] = ()) -> None:
    """InputError for a name that is no sound's, or whose picture would replace an input."""
    check_sound_name(out)
    picture = out.with_suffix(".png").resolve()
    if any(path.resolve() == picture for path in inputs):
        raise InputError(f"{out}: its picture would replace the clip {picture.name}; rename it")


def write_song(
    out: Path,
    piece: Piece,
    quality: Quality = "default",
    loudness_lufs: float | None = None,
    device: str = "cpu",
) -> list[Path]:
    """Invert the whole image at once and write all four files, the sound's path first.

    Interrupted, none of them stays. A CUDA device inverts what is no loop.
    """
    picture, cue, facts = (out.with_suffix(suffix) for suffix in (".png", ".cue", ".json"))
    facts.unlink(missing_ok=True)
    channels = 1 if piece.image.ndim == 2 else 2
    try:
        with progress_bar("invert", piece.image.shape[1]) as advance:
            heard = _told(_sound(piece, quality, device), piece.fmt.hop_length, advance)
            mastered = write_sound(out, heard, piece.fmt.sr, channels, loudness_lufs, piece.loop)
        write_image(picture, piece.image, piece.fmt)
        write_text(cue, cue_sheet(out, piece.tracks))
        stated = _facts(piece, mastered) | {"quality": quality, "seams": score_seams(piece)}
        write_text(facts, json.dumps(stated, indent=2, ensure_ascii=False) + "\n")
    except BaseException:
        for path in (facts, cue, picture, out):
            path.unlink(missing_ok=True)
        raise
    return [out, picture, cue, facts]


def _facts(piece: Piece, mastered: Mastered) -> dict[str, Any]:
    return {
        **piece.facts,
        "format": piece.fmt.name,
        "loop": piece.loop,
        **{name: _finite(value) for name, value in asdict(mastered).items()},
        "joints_s": _seconds(piece.joints, piece.rate_hz),
        "changes_s": _seconds(piece.changes, piece.rate_hz),
    }


def score_seams(piece: Piece) -> dict[str, Any]:
    """How much joints stand out in the image (``dmm.songs.seams``), or why nobody can say."""
    power = np.concatenate(list(_band_power(piece)), axis=1)
    joints, changes = piece.joints, piece.changes
    if piece.loop:  # its seam is looked at from the middle
        shift = power.shape[1] // 2
        power = np.roll(power, shift, axis=1)
        joints, changes = (_shifted(spans, shift, power.shape[1]) for spans in (joints, changes))
    try:
        score = seam_score(power, joints, piece.rate_hz, changes)
    except ValueError as error:
        return {"unscored": str(error)}
    return {name: round(value, 3) for name, value in (asdict(score) | {"z": score.z}).items()}


def cue_sheet(sound: Path, tracks: Sequence[Track]) -> str:
    """Titles and times for players; of more than 99 tracks only every second, third ... stays."""
    kind = "MP3" if sound.suffix.lower() == ".mp3" else "WAVE"
    lines = [f'FILE "{sound.name}" {kind}']
    for number, track in enumerate(tracks[:: -(-len(tracks) // MOST_TRACKS)], 1):
        frames = round(track.start_s * FRAMES_PER_S)
        seconds, frames = divmod(frames, FRAMES_PER_S)
        title = " ".join(track.title.replace('"', "'").split())
        lines += [
            f"  TRACK {number:02} AUDIO",
            f'    TITLE "{title}"',
            f"    INDEX 01 {seconds // 60:02}:{seconds % 60:02}:{frames:02}",
        ]
    return "\n".join(lines) + "\n"


def _sound(
    piece: Piece, quality: Quality, device: str
) -> Iterator[Float[np.ndarray, "channels _samples"]]:
    if device.startswith("cuda") and not piece.loop:
        from ..codec import decode_torch

        yield from decode_torch.stream_decode(piece.image, piece.fmt, quality, device)
        return
    blocks = stream_decode(piece.image, piece.fmt, quality, piece.loop)
    if piece.n_samples is None:
        yield from blocks
        return
    from scipy.signal import resample  # by the Fourier transform, which takes sound for a loop

    whole = np.concatenate(list(blocks), axis=1)
    yield soft_limit(np.asarray(resample(whole, piece.n_samples, axis=1), dtype=np.float32))


def _told(
    blocks: Iterator[np.ndarray], hop_length: int, advance: Callable[[int], object]
) -> Iterator[np.ndarray]:
    for block in blocks:
        yield block
        advance(block.shape[1] // hop_length)


def _band_power(piece: Piece) -> Iterator[Float[np.ndarray, "bands _frames"]]:
    for start in range(0, piece.image.shape[1], CHUNK):
        layers = to_layers(piece.image[:, start : start + CHUNK], piece.fmt)
        yield np.sum([band_power(layer) for layer in layers.magnitude], axis=0)


def _seconds(spans: Sequence[Span], rate_hz: float) -> list[list[float]]:
    return [[round(column / rate_hz, 3) for column in span] for span in spans]


def _shifted(spans: Sequence[Span], shift: int, n_frames: int) -> list[Span]:
    moved = [((start + shift) % n_frames, stop - start) for start, stop in spans]
    return [(start, start + width) for start, width in moved]


def _finite(value: float) -> float | None:
    """JSON has no infinity: silence has no loudness."""
    return round(value, 3) if np.isfinite(value) else None
