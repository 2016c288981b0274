"""One track to its clips' files and a record of them: the part that worker processes run."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np

from dmm.codec.image import write_image
from dmm.codec.mel import MelFormat, encode, load_format
from dmm.errors import InputError
from dmm.files import sha256_file, whole_file
from dmm.sound.audio import write_audio

from ..augmentation.mixup import onsets, pulse_s
from ..beats import first_beat
from ..fingerprint import fingerprint
from ..quality import Quality, gain_for, measure, refusal
from ..sources import Rejected, Sound, Track
from ..windows import LOOK_AHEAD_S, Window, checked, level_db, spread, windows
from .clip_ids import clip_id
from .hearing import caption_checker, vocal_classifier
from .options import BuildOptions
from .records import ClipFacts, Record, record_key, write_arrays, write_record

SILENCE_DB = -60.0
"""Windows whose RMS lies below this, in dB of full scale, are refused."""


@dataclass(frozen=True)
class Job:
    """A track to cut, and the folder its clips go to."""

    track: Track
    place: str
    options: BuildOptions
    out: Path

    @property
    def fmt(self) -> MelFormat:
        """The mel format of the clips."""
        return load_format(self.options.format)


@dataclass(frozen=True)
class Survey:
    """What must be known of a whole track before its first clip can be written."""

    gain_db: float = 0.0
    chosen: frozenset[int] | None = None
    """Numbers of the windows to keep; None for all."""


def cut_track(job: Job) -> Record:
    """Write a track's clips and its record; what cannot be used is in ``Record.rejected``."""
    cut = _Cut(job)
    rejected: list[Rejected] = []
    try:
        survey = _survey(job)
        for window in track_windows(job.track, job.options):
            if survey.chosen is not None and window.index not in survey.chosen:
                continue
            if reason := cut.add(window, survey.gain_db):
                where = round(window.start / job.fmt.sr, 3)
                rejected.append(Rejected(job.track.input, reason, where))
    except InputError as error:
        rejected.append(Rejected(job.track.input, str(error)))
        cut = _Cut(job)
    arrays = write_arrays(job.out, job.track.id, cut.prints, cut.embeddings)
    key = record_key(job.track, job.options)
    record = Record(key, job.place, cut.clips, rejected, cut.files, [], arrays)
    write_record(job.out, job.track.id, record)
    return record


class _Cut:
    """The clips of a track so far, their files written."""

    def __init__(self, job: Job):
        self.job = job
        self.clips: list[ClipFacts] = []
        self.files: dict[str, str] = {}
        self.prints: list[np.ndarray] = []
        self.embeddings: list[np.ndarray] = []

    def add(self, window: Window, gain_db: float) -> str | None:
        """Measure and write a clip, or say why it is refused."""
        job, sr = self.job, self.job.fmt.sr
        clip = amplified(window.sound, gain_db)
        quality = measure(clip, sr)
        if reason := _refusal(clip, quality, job.options):
            return reason
        name = clip_id(job.track.id, window.index)
        written = write_clip(job, name, clip)
        self.files |= written
        mono = clip.mean(0, keepdims=True)
        self.prints.append(fingerprint(mono, sr))
        if checker := job.options.check_captions:
            self.embeddings.append(caption_checker(checker).embed_sounds(mono, sr)[0])
        self.clips.append(
            ClipFacts(
                id=name,
                start_s=window.start / sr,
                gain_db=gain_db,
                quality=finite(quality),
                vocal_window=_vocal_probability(job, mono),
                sha256=written[f"{name}.png"],
                pulse_s=pulse_s(onsets(clip, sr)) if "mixup" in job.options.augment else None,
            )
        )
        return None


def track_windows(track: Track, options: BuildOptions, spare_s: float = 0.0) -> Iterator[Window]:
    """A track's windows, each one clip long and, where it goes on, ``spare_s`` longer.

    InputError if the track cannot be used.
    """
    fmt = load_format(options.format)
    blocks = checked(
        track.stream(fmt.sr, 2 if options.stereo else 1), fmt.clip_samples, fmt.sr, pad=options.pad
    )
    hop = fmt.clip_samples if options.hop_s is None else round(options.hop_s * fmt.sr)
    spare = round(spare_s * fmt.sr)
    more = round(LOOK_AHEAD_S * fmt.sr) if options.beats else 0
    for window in windows(blocks, fmt.clip_samples, hop, more + spare):
        offset = first_beat(window.sound, fmt.sr) if options.beats else 0
        fits = offset + fmt.clip_samples <= window.sound.shape[1]
        first = offset if fits else 0
        sound = window.sound[:, first : first + fmt.clip_samples + spare]
        yield replace(window, start=window.start + first, sound=sound)


def _survey(job: Job) -> Survey:
    """Go through the track once more where its loudness, or a choice of windows, asks for it."""
    options = job.options
    if options.max_clips_per_track is None and options.loudness_lufs is None:
        return Survey()
    sounding: list[int] = []
    qualities: list[Quality] = []
    for window in track_windows(job.track, options):
        if level_db(window.sound) >= SILENCE_DB:
            sounding.append(window.index)
            if options.loudness_lufs is not None:
                qualities.append(measure(window.sound, job.fmt.sr))
    return Survey(
        gain_db=_gain_db(qualities, options.loudness_lufs),
        chosen=frozenset(spread(sounding, options.max_clips_per_track)),
    )


def _gain_db(qualities: list[Quality], target_lufs: float | None) -> float:
    """Gain of a whole track: its loudness is the energy mean of its sounding windows."""
    loud = [q.loudness_lufs for q in qualities if isfinite(q.loudness_lufs)]
    if target_lufs is None or not loud:
        return 0.0
    loudness = 10 * float(np.log10(np.mean(np.power(10, np.array(loud) / 10))))
    return gain_for(loudness, target_lufs, max(q.peak_db for q in qualities))


def amplified(sound: Sound, gain_db: float) -> Sound:
    """The sound louder by so many dB."""
    return sound * np.float32(10 ** (gain_db / 20))


def _refusal(clip: Sound, quality: Quality, options: BuildOptions) -> str | None:
    if (level := level_db(clip)) < SILENCE_DB:
        return f"silent: {level:.1f} dBFS RMS, below {SILENCE_DB:.0f}"
    return refusal(quality, options.limits)


def finite(quality: Quality) -> dict[str, float | None]:
    """The measures as JSON values, None for what is infinite."""
    return {name: value if isfinite(value) else None for name, value in asdict(quality).items()}


def _vocal_probability(job: Job, mono: Sound) -> float | None:
    """What the classifier hears; it is not asked where the truth is known."""
    listener = None if job.track.truth else vocal_classifier(job.options.vocal_classifier)
    if listener is None:
        return None
    return round(float(listener.probabilities(mono, job.fmt.sr)[0]), 4)


def write_clip(job: Job, name: str, clip: Sound) -> dict[str, str]:
    """Write image, for the test split the sound, if asked the score; file name to SHA-256."""
    image, sound = (job.out / job.place / f"{name}.{x}" for x in ("png", "flac"))
    write_image(image, encode(clip, job.fmt), job.fmt)
    written = [image]
    if job.place == "test":
        write_audio(sound, clip, job.fmt.sr)
        written.append(sound)
    if job.options.midi and job.track.midi:
        score = image.with_suffix(".mid")
        with whole_file(score) as partial:
            partial.write_bytes(job.track.midi())
        written.append(score)
    return {path.name: sha256_file(path) for path in written}
