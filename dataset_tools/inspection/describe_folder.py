"""Describe the tracks of a folder by their sound, without building a dataset."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dmm.choices import DEFAULT_FORMAT
from dmm.codec.mel import load_format
from dmm.embedders import TextEmbedder, embed_and_classify
from dmm.errors import InputError
from dmm.progress import progress_bar
from dmm.sound.loudness import loudness_lufs

from ..building.audio_models import load_caption_embedder, load_vocal_classifier
from ..building.cut import SILENCE_DB, track_windows
from ..building.options import BuildOptions
from ..captions.compose import compose_caption
from ..captions.facets import facet_probabilities
from ..captions.lexicon import load_lexicon
from ..description import Description, TrackSound, describe_tracks
from ..signal_votes import mean_of_finite
from ..sound_facts import measure_sound_facts
from ..sources import Rejected, SourceRequest, Track
from ..sources.folder import tracks
from ..vocals.evidence import VoiceEvidence
from ..vocals.gate import judge_tracks
from ..windows import rms_db

MIN_WINDOWS = 6
"""Smallest number of windows measured in a long track; the largest is twice that."""
SOUND_ONLY = BuildOptions(vocal_classifier="none", pad=True)


@dataclass(frozen=True)
class MeasuredTrack:
    """Measurements of one track, and the classifier's probability of a voice in each window."""

    name: str
    """Its path below the folder."""
    sound: TrackSound
    voice: tuple[float, ...]


def describe_folder(
    folder: Path, embedder_name: str | None
) -> tuple[list[dict[str, Any]], list[Rejected]]:
    """Describe every readable track below a folder; returns the descriptions and the refusals.

    Each has a caption, facets, tempo, key, loudness, brightness, density and probability of a
    voice. The tracks are compared with each other: pass all of a collection at once. Silent windows
    are left out. InputError if no track can be used.
    """
    embedder = load_caption_embedder(embedder_name) if embedder_name else None
    listed = list(tracks(SourceRequest(folder)))
    measured: list[MeasuredTrack] = []
    rejected: list[Rejected] = []
    with progress_bar("describing", len(listed)) as advance:
        for track in listed:
            found = track if isinstance(track, Rejected) else _measure_or_refuse(track, embedder)
            if isinstance(found, Rejected):
                rejected.append(found)
            else:
                measured.append(found)
            advance()
    if not measured:
        first = rejected[0]
        raise InputError(f"{folder}: no track can be used; {first.input}: {first.reason}")
    return _describe_measured_tracks(measured, embedder), rejected


def _measure_or_refuse(track: Track, embedder: TextEmbedder | None) -> MeasuredTrack | Rejected:
    """Measure a track's audible windows; Rejected if it is unreadable or silent."""
    sr = load_format(DEFAULT_FORMAT).sr
    try:
        kept = _spread_windows(track)
    except InputError as error:
        return Rejected(track.input, str(error))
    if not kept:
        return Rejected(track.input, f"silent: no clip above {SILENCE_DB:.0f} dBFS")
    windows = np.stack(kept)
    classifier = load_vocal_classifier("nano")
    assert classifier is not None
    rows, attributes = np.zeros((1, 0), np.float32), []
    if embedder:
        rows, attributes = embed_and_classify(embedder, windows, sr)
    sound = TrackSound(
        [measure_sound_facts(window, sr) for window in windows],
        mean_of_finite([loudness_lufs(window[None], sr) for window in windows]),
        rows.mean(0),
        attributes,
    )
    return MeasuredTrack(track.input, sound, tuple(classifier.probabilities(windows, sr).tolist()))


def _describe_measured_tracks(
    measured: list[MeasuredTrack], embedder: TextEmbedder | None
) -> list[dict[str, Any]]:
    """Describe each track, compared with the others, as JSON values."""
    lexicon = load_lexicon()
    descriptions = describe_tracks(embedder, [track.sound for track in measured], lexicon)
    no_words = [VoiceEvidence(()) for _ in measured]
    facets = facet_probabilities(no_words, lexicon, [d.votes for d in descriptions])
    evidence = [VoiceEvidence((), window_probabilities=track.voice) for track in measured]
    voices = judge_tracks(evidence).probabilities
    return [
        _description_json(*one) for one in zip(measured, descriptions, facets, voices, strict=True)
    ]


def _description_json(
    track: MeasuredTrack,
    description: Description,
    facets: dict[str, dict[str, float]],
    voice: float,
) -> dict[str, Any]:
    words = {"input": track.name, "caption": compose_caption(facets)}
    return words | description.as_json() | {"facets": facets, "vocal_probability": voice}


def _spread_windows(track: Track) -> list[np.ndarray]:
    """Up to twice ``MIN_WINDOWS`` mono windows that are not silent, evenly spread over the track.

    Other windows are not kept in memory. InputError if the track cannot be read.
    """
    kept: list[np.ndarray] = []
    step = 1
    for window in track_windows(track, SOUND_ONLY):
        if window.index % step == 0:
            kept.append(window.sound.mean(0))
        if len(kept) > 2 * MIN_WINDOWS:
            kept, step = kept[::2], 2 * step
    return [window for window in kept if rms_db(window[None]) >= SILENCE_DB]
