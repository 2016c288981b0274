"""Finished clips joined to one piece: in the mel domain, on the beat, then one inversion."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from ..codec.decode import Quality
from ..codec.image import read_image
from ..codec.mel import MelFormat
from ..errors import InputError
from .files import Piece, Span, Track, check_out, write_song
from .joining import (
    Layers,
    as_stereo,
    crossfade,
    gain_between,
    levelled,
    part,
    power_at_ends,
    to_image,
    to_layers,
)
from .overlaps import Overlap, choose_overlap, hear_pulse


@dataclass(frozen=True)
class Clip:
    """A finished clip."""

    path: Path
    image: UInt8[np.ndarray, "rows frames *rgb"]
    fmt: MelFormat
    title: str
    """Its prompt, or else its name."""
    tempo_bpm: float | None
    """As its JSON states it."""


@dataclass(frozen=True)
class Joining:
    """How clips are brought together."""

    overlap_s: float = 1.0
    align: bool = True
    """Change an overlap by up to half a beat, so that beats and onsets meet."""
    match_gain: bool = True
    tempo_bpm: float | None = None
    """Of every clip; None takes what its JSON states, or listens."""
    loop: bool = False
    """Join the last clip to the first, too."""


@dataclass(frozen=True)
class Plan:
    """Where each clip begins, and how it meets the next; in a loop the last meets the first."""

    starts: tuple[int, ...]
    overlaps: tuple[Overlap, ...]
    gains_db: tuple[Float[np.ndarray, " mels"], ...]
    n_frames: int

    def joints(self) -> tuple[Span, ...]:
        """Columns in which two clips sound."""
        starts = (*self.starts[1:], 0)
        return tuple(
            (start, start + overlap.frames)
            for start, overlap in zip(starts, self.overlaps, strict=False)
        )


def stitch(
    paths: Sequence[Path],
    out: Path,
    joining: Joining | None = None,
    quality: Quality = "default",
    loudness_lufs: float | None = None,
    stated: MelFormat | None = None,
) -> list[Path]:
    """Join mel images, or all those of a folder by name, to one sound; returns the files written.

    Beside the sound ``out`` (.flac, .wav or .mp3) stand the wide mel image, a cue sheet and a JSON
    that says what was joined where and how much the joints stand out. ``stated`` is the format of
    images that name none. InputError, in one line, for fewer than two clips, clips of different
    formats, or clips shorter than two overlaps.
    """
    joining = joining or Joining()
    clips = read_clips(paths, stated)
    check_out(out, [clip.path for clip in clips])
    plan = make_plan(clips, joining)
    fmt = clips[0].fmt
    rate_hz = fmt.sr / fmt.hop_length
    starts_s = [start / rate_hz for start in plan.starts]
    facts = {
        "clips": [
            {"file": clip.path.name, "title": clip.title, "start_s": round(start_s, 3)}
            for clip, start_s in zip(clips, starts_s, strict=True)
        ],
        "joining": asdict(joining),
        "joined": [
            {
                "overlap_s": round(overlap.frames / rate_hz, 3),
                "onset_agreement": round(overlap.agreement, 3),
                "off_beat_s": None if overlap.off_beat_s is None else round(overlap.off_beat_s, 3),
                "gain_db": [round(float(f(gain)), 2) for f in (np.min, np.max)],
            }
            for overlap, gain in zip(plan.overlaps, plan.gains_db, strict=True)
        ],
    }
    piece = Piece(
        image=render(clips, plan),
        fmt=fmt,
        tracks=tuple(Track(s, clip.title) for s, clip in zip(starts_s, clips, strict=True)),
        joints=plan.joints(),
        facts=facts,
        loop=joining.loop,
    )
    return write_song(out, piece, quality, loudness_lufs)


def read_clips(paths: Sequence[Path], stated: MelFormat | None = None) -> list[Clip]:
    """All clips, in stereo if any is; InputError if there are not two of one format.

    ``stated`` is believed rather than what images say.
    """
    files = [file for path in paths for file in (_by_name(path) if path.is_dir() else [path])]
    if len(files) < 2:
        raise InputError(f"{len(files)} clips; two or more are needed to join them")
    clips = [_read_clip(file, stated) for file in files]
    fmt = clips[0].fmt
    for clip in clips:
        if clip.fmt != fmt:
            raise InputError(
                f"{clip.path}: of format {clip.fmt.name!r}, but {clips[0].path.name} is of "
                f"{fmt.name!r}{'' if clip.fmt.name != fmt.name else ' with other settings'}; "
                "join clips of one format (dmm decode, then dmm encode --format, makes one)"
            )
    if any(clip.image.ndim == 3 for clip in clips):
        return [_in_stereo(clip) for clip in clips]
    return clips


def _in_stereo(clip: Clip) -> Clip:
    image = clip.image if clip.image.ndim == 3 else as_stereo(clip.image, clip.fmt)
    return Clip(clip.path, image, clip.fmt, clip.title, clip.tempo_bpm)


def _by_name(folder: Path) -> list[Path]:
    """Images of a folder, numbers in their names counted: clip-2 before clip-10."""
    return sorted(
        folder.glob("*.png"),
        key=lambda path: [int(s) if s.isdigit() else s for s in re.split(r"(\d+)", path.name)],
    )


def _read_clip(path: Path, stated: MelFormat | None) -> Clip:
    image, fmt = read_image(path, stated)
    facts = {}
    beside = path.with_suffix(".json")
    if beside.is_file():
        try:
            facts = json.loads(beside.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{beside}: not valid JSON; delete it or make it again") from error
    truth = facts.get("truth") or facts
    return Clip(path, image, fmt, facts.get("prompt", path.stem), truth.get("tempo_bpm"))


def make_plan(clips: Sequence[Clip], joining: Joining) -> Plan:
    """Overlaps, gains and places; InputError for a clip that two overlaps do not fit into."""
    fmt = clips[0].fmt
    rate_hz = fmt.sr / fmt.hop_length
    wanted = round(joining.overlap_s * rate_hz)
    for clip in clips:
        if clip.image.shape[1] < max(2 * wanted, 1):
            length_s = clip.image.shape[1] / rate_hz
            raise InputError(
                f"{clip.path}: {length_s:.2f} s; two overlaps of {joining.overlap_s} s do not fit "
                "(--overlap)"
            )
    pulses, ends = [], []
    for clip in clips:
        layers = to_layers(clip.image, fmt)
        pulses.append(hear_pulse(layers, fmt, joining.tempo_bpm or clip.tempo_bpm))
        ends.append(power_at_ends(layers, fmt))
    numbers = range(len(clips))
    pairs = [*pairwise(numbers), *([(numbers[-1], 0)] if joining.loop else [])]
    overlaps, gains_db = [], []
    for i, j in pairs:
        most = min(clips[i].image.shape[1], clips[j].image.shape[1]) // 2
        overlaps.append(choose_overlap(pulses[i], pulses[j], wanted, most, rate_hz, joining.align))
        gain_db = gain_between(ends[i][1], ends[j][0])
        gains_db.append(gain_db if joining.match_gain else np.zeros_like(gain_db))
    steps = [
        clip.image.shape[1] - overlap.frames for clip, overlap in zip(clips, overlaps, strict=False)
    ]
    starts = np.cumsum([0, *steps]).tolist()
    n_frames = starts.pop() if joining.loop else starts[-1] + clips[-1].image.shape[1]
    return Plan(tuple(starts), tuple(overlaps), tuple(gains_db), n_frames)


def render(clips: Sequence[Clip], plan: Plan) -> UInt8[np.ndarray, "rows frames *rgb"]:
    """The wide image; a few clips are held at a time besides."""
    fmt, is_loop = clips[0].fmt, len(plan.overlaps) == len(clips)
    wide = np.zeros((fmt.n_mels, plan.n_frames, *clips[0].image.shape[2:]), np.uint8)
    before: Layers | None = None
    if is_loop:
        last = _levelled(clips, plan, len(clips) - 1)
        before = part(last, _width(last) - plan.overlaps[-1].frames, _width(last))
    for number, start in enumerate(plan.starts):
        layers = _levelled(clips, plan, number)
        if before is not None and _width(before):
            head = crossfade(before, part(layers, 0, _width(before)))
            wide[:, start : start + _width(before)] = to_image(head, fmt)
        first, stop = (_width(before) if before else 0), _width(layers)
        if number < len(plan.overlaps):
            stop -= plan.overlaps[number].frames
            before = part(layers, stop, _width(layers))
        if stop > first:
            wide[:, start + first : start + stop] = to_image(part(layers, first, stop), fmt)
    return wide


def _levelled(clips: Sequence[Clip], plan: Plan, number: int) -> Layers:
    """A clip that meets its neighbours' levels half-way."""
    clip, none = clips[number], np.zeros(clips[number].fmt.n_mels)
    gains_db, is_loop = plan.gains_db, len(plan.overlaps) == len(clips)
    at_start = gains_db[number - 1] if number or is_loop else none
    at_end = gains_db[number] if number < len(gains_db) else none
    return levelled(to_layers(clip.image, clip.fmt), at_start / 2, -at_end / 2)


def _width(layers: Layers) -> int:
    return layers.magnitude.shape[-1]
