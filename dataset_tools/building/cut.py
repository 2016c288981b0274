"""Cut one track: write and measure its clips, and record both. Worker processes run this."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np

from dmm.codec.image import write_image
from dmm.codec.mel import MelFormat, encode, load_format
from dmm.embedders import embed_and_classify
from dmm.errors import InputError
from dmm.files import sha256_file, whole_file
from dmm.sound.audio import write_audio

from ..augmentation.mixup import beat_period_s, onset_curve
from ..beats import first_beat
from ..fingerprint import audio_fingerprint
from ..quality import Quality, gain_to_loudness, measure_quality, reason_to_refuse
from ..sound_facts import measure_sound_facts
from ..sources import Rejected, Sound, Track
from ..windows import LOOK_AHEAD_S, Window, checked_and_padded, cut_windows, evenly_spread, rms_db
from .audio_models import load_caption_embedder, load_vocal_classifier
from .clip_ids import clip_id
from .options import BuildOptions
from .records import ClipFacts, TrackRecord, record_key, write_arrays, write_record

SILENCE_DB = -60.0
"""Windows with a lower RMS, in dB of full scale, are refused."""


@dataclass(frozen=True)
class CutJob:
    """A track to cut, and where its clips are written: ``folder/place``."""

    track: Track
    place: str
    """A split."""
    options: BuildOptions
    folder: Path
    """The dataset folder."""

    @property
    def fmt(self) -> MelFormat:
        """The mel format of the clips."""
        return load_format(self.options.format)


@dataclass(frozen=True)
class TrackSurvey:
    """Gain of a whole track and choice of its windows, needed before its first clip is written."""

    gain_db: float = 0.0
    chosen: frozenset[int] | None = None
    """Numbers of the windows to keep; None for all."""


def cut_track(job: CutJob) -> TrackRecord:
    """Write a track's clips and its record; returns the record.

    ``TrackRecord.rejected`` has the refused windows. A track that becomes unreadable midway has no
    clips; its files written until then stay until ``remove_stray_files``.
    """
    cut = _ClipWriter(job)
    rejected: list[Rejected] = []
    try:
        survey = _survey_track(job)
        for window in track_windows(job.track, job.options):
            if survey.chosen is not None and window.index not in survey.chosen:
                continue
            if reason := cut.add_or_refuse(window, survey.gain_db):
                where = round(window.start / job.fmt.sr, 3)
                rejected.append(Rejected(job.track.input, reason, where))
    except InputError as error:
        rejected.append(Rejected(job.track.input, str(error)))
        cut = _ClipWriter(job)
    arrays = write_arrays(job.folder, job.track.id, cut.fingerprints, cut.embeddings)
    key = record_key(job.track, job.options)
    record = TrackRecord(key, job.place, cut.clips, rejected, cut.files, [], arrays)
    write_record(job.folder, job.track.id, record)
    return record


class _ClipWriter:
    """The clips of a track whose files have been written so far."""

    def __init__(self, job: CutJob):
        self.job = job
        self.clips: list[ClipFacts] = []
        self.files: dict[str, str] = {}
        self.fingerprints: list[np.ndarray] = []
        self.embeddings: list[np.ndarray] = []

    def add_or_refuse(self, window: Window, gain_db: float) -> str | None:
        """Measure and write a clip; returns the reason if it is refused."""
        job, sr = self.job, self.job.fmt.sr
        clip = amplified(window.sound, gain_db)
        quality = measure_quality(clip, sr)
        if reason := _reason_to_refuse(clip, quality, job.options):
            return reason
        name = clip_id(job.track.id, window.index)
        written = write_clip(job, name, clip)
        self.files |= written
        mono = clip.mean(0, keepdims=True)
        self.fingerprints.append(audio_fingerprint(mono, sr))
        attributes = []
        if embedder := job.options.embedder:
            rows, attributes = embed_and_classify(load_caption_embedder(embedder), mono, sr)
            self.embeddings.append(rows[0])
        self.clips.append(
            ClipFacts(
                id=name,
                start_s=window.start / sr,
                gain_db=gain_db,
                quality=with_none_for_infinity(quality),
                vocal_window=_vocal_probability(job, mono),
                sha256=written[f"{name}.png"],
                sound=asdict(measure_sound_facts(mono[0], sr)) if job.options.describe else None,
                attributes=attributes[0] if attributes and job.options.describe else None,
                pulse_s=beat_period_s(onset_curve(clip, sr))
                if "mixup" in job.options.augment
                else None,
            )
        )
        return None


def track_windows(track: Track, options: BuildOptions, spare_s: float = 0.0) -> Iterator[Window]:
    """Yield a track's windows: one clip each, and up to ``spare_s`` of the sound that follows.

    With the option ``beats`` a window begins at the first beat after its regular start, if the
    track is long enough. InputError if the track cannot be used.
    """
    fmt = load_format(options.format)
    blocks = checked_and_padded(
        track.stream(fmt.sr, 2 if options.stereo else 1), fmt.clip_samples, fmt.sr, pad=options.pad
    )
    hop = fmt.clip_samples if options.hop_s is None else round(options.hop_s * fmt.sr)
    spare = round(spare_s * fmt.sr)
    more = round(LOOK_AHEAD_S * fmt.sr) if options.beats else 0
    for window in cut_windows(blocks, fmt.clip_samples, hop, more + spare):
        offset = first_beat(window.sound, fmt.sr) if options.beats else 0
        fits = offset + fmt.clip_samples <= window.sound.shape[1]
        first = offset if fits else 0
        sound = window.sound[:, first : first + fmt.clip_samples + spare]
        yield replace(window, start=window.start + first, sound=sound)


def _survey_track(job: CutJob) -> TrackSurvey:
    """Choose the gain and the windows; reads the whole track if the options need either."""
    options = job.options
    if options.max_clips_per_track is None and options.loudness_lufs is None:
        return TrackSurvey()
    audible: list[int] = []
    qualities: list[Quality] = []
    for window in track_windows(job.track, options):
        if rms_db(window.sound) >= SILENCE_DB:
            audible.append(window.index)
            if options.loudness_lufs is not None:
                qualities.append(measure_quality(window.sound, job.fmt.sr))
    return TrackSurvey(
        gain_db=_track_gain_db(qualities, options.loudness_lufs),
        chosen=frozenset(evenly_spread(audible, options.max_clips_per_track)),
    )


def _track_gain_db(qualities: list[Quality], target_lufs: float | None) -> float:
    """Gain of a whole track, whose loudness is the energy mean of its audible windows."""
    loud = [q.loudness_lufs for q in qualities if isfinite(q.loudness_lufs)]
    if target_lufs is None or not loud:
        return 0.0
    loudness = 10 * float(np.log10(np.mean(np.power(10, np.array(loud) / 10))))
    return gain_to_loudness(loudness, target_lufs, max(q.peak_db for q in qualities))


def amplified(sound: Sound, gain_db: float) -> Sound:
    """Sound with a gain of ``gain_db``."""
    return sound * np.float32(10 ** (gain_db / 20))


def _reason_to_refuse(clip: Sound, quality: Quality, options: BuildOptions) -> str | None:
    """Reason to refuse a silent or faulty clip; None if it is kept."""
    if (level := rms_db(clip)) < SILENCE_DB:
        return f"silent: {level:.1f} dBFS RMS, below {SILENCE_DB:.0f}"
    return reason_to_refuse(quality, options.quality_limits)


def with_none_for_infinity(quality: Quality) -> dict[str, float | None]:
    """Measurements as JSON values; None for infinite ones and NaN."""
    return {name: value if isfinite(value) else None for name, value in asdict(quality).items()}


def _vocal_probability(job: CutJob, mono: Sound) -> float | None:
    """The classifier's probability of a voice; None without one, or if the truth is known."""
    classifier = None if job.track.truth else load_vocal_classifier(job.options.vocal_classifier)
    if classifier is None:
        return None
    return round(float(classifier.probabilities(mono, job.fmt.sr)[0]), 4)


def write_clip(job: CutJob, name: str, clip: Sound) -> dict[str, str]:
    """Write a clip's image, its sound in the test split, and its MIDI score if the options say so.

    Returns the name and SHA-256 of each file.
    """
    image, sound = (job.folder / job.place / f"{name}.{x}" for x in ("png", "flac"))
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
