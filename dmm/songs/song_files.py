"""A song on disk: audio, wide mel image, cue sheet, and JSON with its seam score.

All four are written beside and renamed together, the JSON last: an earlier song of the same name
stays as it is until the new one is complete.
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
from ..files import whole_files, write_text
from ..progress import progress_bar
from .mastering import MasteringMeasurements, check_suffix, write_mastered
from .mel_crossfade import to_mel
from .seams import band_power, seam_score

FRAMES_PER_S = 75
"""Time unit of cue sheets."""
MOST_TRACKS = 99
"""Limit of the cue sheet format."""

Span = tuple[int, int]
"""Image columns: first, and one past the last."""


@dataclass(frozen=True)
class Track:
    """A part of the song that players can jump to."""

    start_s: float
    title: str


@dataclass(frozen=True)
class Song:
    """A song's mel image, and what its other files are made from."""

    image: UInt8[np.ndarray, "rows frames *rgb"]
    fmt: MelFormat
    tracks: tuple[Track, ...]
    joints: tuple[Span, ...]
    """Overlaps of neighbouring clips or windows."""
    facts: dict[str, Any]
    """How it was made, for the JSON file."""
    changes: tuple[Span, ...] = ()
    """Overlaps where the prompt changes: excluded from the seam score."""
    loop: bool = False
    n_samples: int | None = None
    """Exact length of a loop; None means one hop for each image column."""

    @property
    def columns_per_s(self) -> float:
        """Image columns a second."""
        return self.fmt.sr / self.fmt.hop_length


def check_output_path(out: Path, inputs: Sequence[Path] = ()) -> None:
    """InputError for an unknown audio suffix, or if the song's image would replace an input."""
    check_suffix(out)
    image = out.with_suffix(".png").resolve()
    if any(path.resolve() == image for path in inputs):
        raise InputError(f"{out}: its image would replace the clip {image.name}; rename it")


def write_song(
    out: Path,
    song: Song,
    quality: Quality = "default",
    loudness_lufs: float | None = None,
    device: str = "cpu",
) -> list[Path]:
    """Turn the whole image into sound at once and write all four files; returns their paths.

    A failure writes none, and leaves an earlier song of that name. On a CUDA device the GPU inverts
    songs that are no loops.
    """
    paths = [out, *(out.with_suffix(suffix) for suffix in (".png", ".cue", ".json"))]
    channels = 1 if song.image.ndim == 2 else 2
    with whole_files(*paths) as (sound, image, cue, text):
        with progress_bar("invert", song.image.shape[1]) as advance:
            audio = _with_progress(
                _decoded_blocks(song, quality, device), song.fmt.hop_length, advance
            )
            mastered = write_mastered(sound, audio, song.fmt.sr, channels, loudness_lufs, song.loop)
        write_image(image, song.image, song.fmt)
        write_text(cue, cue_sheet(out, song.tracks))
        facts = _song_json(song, mastered) | {"quality": quality, "seams": score_seams(song)}
        write_text(text, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    return paths


def _song_json(song: Song, mastered: MasteringMeasurements) -> dict[str, Any]:
    return {
        **song.facts,
        "format": song.fmt.name,
        "loop": song.loop,
        **{name: _rounded_or_none(value) for name, value in asdict(mastered).items()},
        "joints_s": _spans_in_seconds(song.joints, song.columns_per_s),
        "changes_s": _spans_in_seconds(song.changes, song.columns_per_s),
    }


def score_seams(song: Song) -> dict[str, Any]:
    """Seam scores of the image (``dmm.songs.seams``), or the reason why there are none."""
    power = np.concatenate(list(_band_power_in_chunks(song)), axis=1)
    joints, changes = song.joints, song.changes
    if song.loop:  # move the joint of end and beginning to the middle
        shift = power.shape[1] // 2
        power = np.roll(power, shift, axis=1)
        joints, changes = (
            _shifted_spans(spans, shift, power.shape[1]) for spans in (joints, changes)
        )
    try:
        score = seam_score(power, joints, song.columns_per_s, changes)
    except ValueError as error:
        return {"unscored": str(error)}
    return {
        name: round(value, 3) for name, value in (asdict(score) | {"z": score.farthest_z}).items()
    }


def cue_sheet(sound: Path, tracks: Sequence[Track]) -> str:
    """A cue sheet of the tracks; of more than 99, only every second, third ... is listed."""
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


def _decoded_blocks(
    song: Song, quality: Quality, device: str
) -> Iterator[Float[np.ndarray, "channels _samples"]]:
    if device.startswith("cuda") and not song.loop:
        from ..codec import decode_torch

        yield from decode_torch.stream_decode(song.image, song.fmt, quality, device)
        return
    blocks = stream_decode(song.image, song.fmt, quality, song.loop)
    if song.n_samples is None:
        yield from blocks
        return
    from scipy.signal import resample  # Fourier resampling treats its input as periodic

    whole = np.concatenate(list(blocks), axis=1)
    yield soft_limit(np.asarray(resample(whole, song.n_samples, axis=1), dtype=np.float32))


def _with_progress(
    blocks: Iterator[np.ndarray], hop_length: int, advance: Callable[[int], object]
) -> Iterator[np.ndarray]:
    for block in blocks:
        yield block
        advance(block.shape[1] // hop_length)


def _band_power_in_chunks(song: Song) -> Iterator[Float[np.ndarray, "bands _frames"]]:
    for start in range(0, song.image.shape[1], CHUNK):
        mel = to_mel(song.image[:, start : start + CHUNK], song.fmt)
        yield np.sum([band_power(channel) for channel in mel.magnitude], axis=0)


def _spans_in_seconds(spans: Sequence[Span], rate_hz: float) -> list[list[float]]:
    return [[round(column / rate_hz, 3) for column in span] for span in spans]


def _shifted_spans(spans: Sequence[Span], shift: int, n_frames: int) -> list[Span]:
    moved = [((start + shift) % n_frames, stop - start) for start, stop in spans]
    return [(start, start + width) for start, width in moved]


def _rounded_or_none(value: float) -> float | None:
    """None for infinity, which JSON lacks: the loudness of silence."""
    return round(value, 3) if np.isfinite(value) else None
