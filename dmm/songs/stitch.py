"""Join finished clips to one song, behind ``dmm stitch``.

Mel images are crossfaded on the beat; then the whole image is turned into sound at once.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import BaseModel, Field

from ..codec.decode import Quality
from ..codec.image import read_image
from ..codec.mel import MelFormat
from ..errors import InputError
from ..files import output_lock, read_json
from ..generation.clip_files import without_variations
from .mel_crossfade import (
    MelMagnitudes,
    as_stereo,
    columns,
    matching_gain_db,
    mix_overlap,
    power_at_start_and_end,
    to_image,
    to_mel,
    with_gains_at_ends,
)
from .overlap import Overlap, choose_overlap, detect_beats
from .song_files import Song, Span, Track, check_output_path, write_song


class _Tempo(BaseModel):
    tempo_bpm: float | None = Field(default=None, ge=1, le=1000, allow_inf_nan=False)


class _ClipFacts(_Tempo):
    """What a clip's JSON file may say: of a dataset's clip under ``truth``."""

    prompt: str | None = None
    truth: _Tempo | None = None


@dataclass(frozen=True)
class FinishedClip:
    """A clip to join, as read from its files."""

    path: Path
    image: UInt8[np.ndarray, "rows frames *rgb"]
    fmt: MelFormat
    title: str
    """Its prompt, else its file name."""
    tempo_bpm: float | None
    """From its JSON file."""


@dataclass(frozen=True)
class StitchOptions:
    """How clips are joined."""

    overlap_s: float = 1.0
    align: bool = True
    """Change overlaps by up to half a beat, so that beats and onsets coincide."""
    match_gain: bool = True
    """Match levels at joints, register by register, by at most 6 dB."""
    tempo_bpm: float | None = None
    """Tempo of all clips; None takes each JSON's, else detects it."""
    loop: bool = False
    """Also join the last clip to the first."""


@dataclass(frozen=True)
class StitchLayout:
    """First column of each clip, and its joint with the next; in a loop also last with first."""

    starts: tuple[int, ...]
    overlaps: tuple[Overlap, ...]
    gains_db: tuple[Float[np.ndarray, " mels"], ...]
    """Gain that lifts the next clip to this one, for each joint."""
    n_frames: int

    def joints(self) -> tuple[Span, ...]:
        """Image columns in which two clips overlap."""
        starts = (*self.starts[1:], 0)
        return tuple(
            (start, start + overlap.frames)
            for start, overlap in zip(starts, self.overlaps, strict=False)
        )


def stitch(
    paths: Sequence[Path],
    out: Path,
    options: StitchOptions | None = None,
    quality: Quality = "default",
    loudness_lufs: float | None = None,
    fmt: MelFormat | None = None,
) -> list[Path]:
    """Join mel images, or those of a folder sorted by name, to one song; returns the files written.

    They are the audio ``out`` (.flac, .wav or .mp3), the wide mel image, a cue sheet and a JSON
    with the joints and their seam score. ``fmt`` overrides the format that images state.
    InputError for fewer than two clips, different formats, and clips shorter than two overlaps.
    """
    options = options or StitchOptions()
    clips = read_clips(paths, fmt)
    check_output_path(out, [clip.path for clip in clips])
    layout = lay_out_clips(clips, options)
    fmt = clips[0].fmt
    rate_hz = fmt.sr / fmt.hop_length
    starts_s = [start / rate_hz for start in layout.starts]
    facts = {
        "clips": [
            {"file": clip.path.name, "title": clip.title, "start_s": round(start_s, 3)}
            for clip, start_s in zip(clips, starts_s, strict=True)
        ],
        "joining": asdict(options),
        "joined": [
            {
                "overlap_s": round(overlap.frames / rate_hz, 3),
                "onset_agreement": round(overlap.agreement, 3),
                "off_beat_s": None if overlap.off_beat_s is None else round(overlap.off_beat_s, 3),
                "gain_db": [round(float(f(gain)), 2) for f in (np.min, np.max)],
            }
            for overlap, gain in zip(layout.overlaps, layout.gains_db, strict=True)
        ],
    }
    song = Song(
        image=render_song_image(clips, layout),
        fmt=fmt,
        tracks=tuple(Track(s, clip.title) for s, clip in zip(starts_s, clips, strict=True)),
        joints=layout.joints(),
        facts=facts,
        loop=options.loop,
    )
    with output_lock(out):
        return write_song(out, song, quality, loudness_lufs)


def read_clips(paths: Sequence[Path], fmt: MelFormat | None = None) -> list[FinishedClip]:
    """All clips, as stereo if any is; InputError for fewer than two or different formats.

    ``fmt`` overrides the format that images state.
    """
    files = [
        file
        for path in paths
        for file in (_images_in_natural_order(path) if path.is_dir() else [path])
    ]
    if len(files) < 2:
        raise InputError(f"{len(files)} clips; two or more are needed to join them")
    clips = [_read_clip(file, fmt) for file in files]
    first = clips[0].fmt
    for clip in clips:
        if clip.fmt != first:
            raise InputError(
                f"{clip.path}: of format {clip.fmt.name!r}, but {clips[0].path.name} is of "
                f"{first.name!r}{'' if clip.fmt.name != first.name else ' with other settings'}; "
                "join clips of one format (dmm decode, then dmm encode --format, makes one)"
            )
    if any(clip.image.ndim == 3 for clip in clips):
        return [_in_stereo(clip) for clip in clips]
    return clips


def _in_stereo(clip: FinishedClip) -> FinishedClip:
    image = clip.image if clip.image.ndim == 3 else as_stereo(clip.image, clip.fmt)
    return FinishedClip(clip.path, image, clip.fmt, clip.title, clip.tempo_bpm)


def _images_in_natural_order(folder: Path) -> list[Path]:
    """Images of a folder without variations, in natural order: clip-2 before clip-10."""
    return sorted(
        without_variations([*folder.glob("*.png")]),
        key=lambda path: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", path.name)],
    )


def _read_clip(path: Path, override: MelFormat | None) -> FinishedClip:
    """A finished clip: its image, format, and facts of the JSON beside it."""
    image, fmt = read_image(path, override)
    facts = _ClipFacts()
    beside = path.with_suffix(".json")
    if beside.is_file():
        facts = read_json(beside, _ClipFacts)
    tempo_bpm = (facts.truth or facts).tempo_bpm
    return FinishedClip(path, image, fmt, facts.prompt or path.stem, tempo_bpm)


def lay_out_clips(clips: Sequence[FinishedClip], options: StitchOptions) -> StitchLayout:
    """Overlaps, gains and places; InputError for a clip shorter than two overlaps."""
    fmt = clips[0].fmt
    rate_hz = fmt.sr / fmt.hop_length
    wanted = round(options.overlap_s * rate_hz)
    for clip in clips:
        if clip.image.shape[1] < max(2 * wanted, 1):
            length_s = clip.image.shape[1] / rate_hz
            raise InputError(
                f"{clip.path}: {length_s:.2f} s; two overlaps of {options.overlap_s} s do not fit "
                "(--overlap)"
            )
    beats, ends = [], []
    for clip in clips:
        mel = to_mel(clip.image, fmt)
        beats.append(detect_beats(mel, fmt, options.tempo_bpm or clip.tempo_bpm))
        ends.append(power_at_start_and_end(mel, fmt))
    numbers = range(len(clips))
    pairs = [*pairwise(numbers), *([(numbers[-1], 0)] if options.loop else [])]
    overlaps, gains_db = [], []
    for i, j in pairs:
        most = min(clips[i].image.shape[1], clips[j].image.shape[1]) // 2
        overlaps.append(choose_overlap(beats[i], beats[j], wanted, most, rate_hz, options.align))
        gain_db = matching_gain_db(ends[i][1], ends[j][0])
        gains_db.append(gain_db if options.match_gain else np.zeros_like(gain_db))
    steps = [
        clip.image.shape[1] - overlap.frames for clip, overlap in zip(clips, overlaps, strict=False)
    ]
    starts = np.cumsum([0, *steps]).tolist()
    n_frames = starts.pop() if options.loop else starts[-1] + clips[-1].image.shape[1]
    return StitchLayout(tuple(starts), tuple(overlaps), tuple(gains_db), n_frames)


def render_song_image(
    clips: Sequence[FinishedClip], layout: StitchLayout
) -> UInt8[np.ndarray, "rows frames *rgb"]:
    """The wide image; beside it only a few clips' magnitudes are in memory."""
    fmt, is_loop = clips[0].fmt, len(layout.overlaps) == len(clips)
    wide = np.zeros((fmt.n_mels, layout.n_frames, *clips[0].image.shape[2:]), np.uint8)
    before: MelMagnitudes | None = None
    if is_loop:
        last = _with_matched_levels(clips, layout, len(clips) - 1)
        before = columns(last, _width(last) - layout.overlaps[-1].frames, _width(last))
    for number, start in enumerate(layout.starts):
        mel = _with_matched_levels(clips, layout, number)
        if before is not None and _width(before):
            head = mix_overlap(before, columns(mel, 0, _width(before)))
            wide[:, start : start + _width(before)] = to_image(head, fmt)
        first, stop = (_width(before) if before else 0), _width(mel)
        if number < len(layout.overlaps):
            stop -= layout.overlaps[number].frames
            before = columns(mel, stop, _width(mel))
        if stop > first:
            wide[:, start + first : start + stop] = to_image(columns(mel, first, stop), fmt)
    return wide


def _with_matched_levels(
    clips: Sequence[FinishedClip], layout: StitchLayout, number: int
) -> MelMagnitudes:
    """A clip with half the gain at each joint; its neighbour gets the other half."""
    clip, none = clips[number], np.zeros(clips[number].fmt.n_mels)
    gains_db, is_loop = layout.gains_db, len(layout.overlaps) == len(clips)
    at_start = gains_db[number - 1] if number or is_loop else none
    at_end = gains_db[number] if number < len(gains_db) else none
    return with_gains_at_ends(to_mel(clip.image, clip.fmt), at_start / 2, -at_end / 2)


def _width(mel: MelMagnitudes) -> int:
    return mel.magnitude.shape[-1]
