"""The synthetic singer: pitch, formants, rests, and captions of vocal pieces."""

import dataclasses

import numpy as np
import pytest

from dataset_tools.sources import SourceRequest, Track
from dataset_tools.sources.catalogue import source_tracks
from dataset_tools.sources.minimidi import Note, compose, render
from dataset_tools.sources.minimidi.phonation import VoiceCurves, phonate
from dataset_tools.sources.minimidi.phonemes import UPPER_HZ, VOWELS
from dataset_tools.sources.minimidi.singers import KINDS, random_voice
from dataset_tools.sources.minimidi.singing import sing
from dataset_tools.sources.minimidi.vocal_line import vocal_line
from dataset_tools.sources.minimidi_clips import NO_VOICE_CAPTIONS, VOICE_WORDS
from dmm.errors import InputError

SR = 22_050


def held(f0, vowel, seconds=1.0, voicing=1.0):
    """One steady vowel."""
    hop = SR // 200
    frames = int(seconds * SR) // hop + 2
    formants = np.tile(np.array([*VOWELS[vowel], *UPPER_HZ])[:, None], frames)
    flat = np.ones(frames)
    curves = VoiceCurves(f0 * flat, voicing * flat, 0 * flat, 0 * flat, 4000 * flat, formants)
    noise = np.random.default_rng(0).standard_normal(int(seconds * SR)).astype(np.float32)
    return phonate(curves, noise, SR, hop, 0.6, 4000.0, 0.0)


def tracks(vocals, count=30, **options):
    request = SourceRequest(count=count, vocals=vocals, **options)
    made = list(source_tracks("minimidi", request))
    assert all(isinstance(track, Track) for track in made)
    return made


def is_vocal(track):
    return bool(track.truth.get("vocals"))


@pytest.mark.parametrize("f0", [110.0, 220.0, 500.0])
def test_a_held_vowel_has_harmonics_of_its_pitch_alone(f0):
    power = np.square(np.abs(np.fft.rfft(held(f0, "a")[-SR // 2 :] * np.hanning(SR // 2))))
    hz = np.fft.rfftfreq(SR // 2, 1 / SR)
    near = np.abs(hz / f0 - np.round(hz / f0)) * f0 < 8
    assert power[near & (hz > f0 / 2)].sum() > 0.999 * power.sum()


@pytest.mark.parametrize("vowel", ["i", "a", "u"])
def test_a_vowel_is_loudest_at_its_formants(vowel):
    power = np.square(np.abs(np.fft.rfft(held(50.0, vowel))))
    hz = np.fft.rfftfreq(SR, 1 / SR)[: len(power)]

    def level(centre):
        return power[np.abs(hz - centre) < 60].mean()

    first, second, _ = VOWELS[vowel]
    assert level(first) > 3 * level(first + 350)
    assert level(second) > 1.5 * level(second + 400)


def test_unvoiced_gestures_without_noise_are_silent():
    assert not held(110.0, "a", voicing=0.0).any()


@pytest.mark.parametrize("kind", KINDS)
def test_every_voice_is_finite_of_exact_length_and_the_same_each_time(kind):
    piece, voice = compose(7, "pop"), random_voice(3, kind)
    sound = sing(piece, SR, 3, voice)
    assert sound.shape == render(piece, SR).shape
    assert np.isfinite(sound).all() and sound.any()
    assert sound.tobytes() == sing(piece, SR, 3, voice).tobytes()


def test_a_song_sounds_the_leads_note_by_octaves():
    piece = compose(1, "ballad")
    note = Note(piece.instruments[0], 69, 0.5, 3.0, 100)
    voice = dataclasses.replace(
        random_voice(0, "female vocals"), vibrato_cents=0.0, breath=0.0, room=0.0, jitter=0.0
    )
    sound = sing(dataclasses.replace(piece, notes=(note,)), SR, 0, voice).mean(0)[SR : 3 * SR]
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))))
    hz = np.fft.rfftfreq(len(sound), 1 / SR)
    octave = 440 * 2.0 ** round((voice.centre - 69) / 12)
    near = np.abs(hz / octave - np.round(hz / octave)) < 0.04
    assert power[near].sum() > 0.9 * power.sum()


def test_a_singer_rests_where_the_lead_rests():
    piece = compose(1, "ballad")
    note = Note(piece.instruments[0], 60, 2.0, 1.0, 100)
    voice = dataclasses.replace(random_voice(0, "male vocals"), room=0.0)
    sound = sing(dataclasses.replace(piece, notes=(note,)), SR, 0, voice)
    loud = np.square(sound).mean(0)
    assert loud[: int(1.6 * SR)].sum() < 1e-6 * loud.sum()
    assert loud[int(1.9 * SR) : int(3.2 * SR)].sum() > 0.98 * loud.sum()


def test_words_follow_each_other_and_speech_needs_no_lead():
    for kind in KINDS:
        piece = dataclasses.replace(compose(2, "folk"), notes=())
        words = vocal_line(piece, random_voice(2, kind), 2)
        starts = [word.start_s for word in words]
        assert len(words) > 5 and starts == sorted(starts)


def test_unknown_voices_are_refused():
    with pytest.raises(ValueError, match="no voice 'yodel'; known: female vocals"):
        random_voice(0, "yodel")


def test_pieces_without_a_singer_stay_what_they_are():
    plain, some = tracks(0.0), tracks(0.5)
    for before, after in zip(plain, some, strict=True):
        same = (before.id, before.sha256, before.caption, before.truth)
        assert (same == (after.id, after.sha256, after.caption, after.truth)) != is_vocal(after)
    silent = next(i for i, track in enumerate(some) if not is_vocal(track))
    assert plain[silent].load(SR, 1).tobytes() == some[silent].load(SR, 1).tobytes()


def test_ids_are_as_before():
    first = tracks(0.0, 1, styles=("pop",), seed=7)[0]
    assert first.id == "minimidi-pop-7-af24e1ebb6"


def test_a_larger_share_adds_singers_and_all_is_all():
    shares = [
        {track.input for track in tracks(share) if is_vocal(track)} for share in (0.3, 0.7, 1.0)
    ]
    assert 0 < len(shares[0]) < len(shares[1]) < len(shares[2]) == 30
    assert shares[0] < shares[1] < shares[2]


def test_a_vocal_track_names_its_voice_and_contains_it():
    track = tracks(1.0, 1)[0]
    assert track.truth["vocals"] is True and track.truth["voice"] in KINDS
    with_voice, without = track.load(SR, 2), tracks(0.0, 1)[0].load(SR, 2)
    assert with_voice.shape == without.shape
    assert np.abs(with_voice).max() < 0.99
    assert not np.allclose(with_voice, without, atol=1e-3)


def test_most_captions_of_vocal_pieces_name_the_voice():
    made = tracks(1.0, 80, styles=("music box",))
    named = [
        any(words in track.caption.split(", ") for words in VOICE_WORDS[track.truth["voice"]])
        for track in made
    ]
    assert np.mean(named) == pytest.approx(1 - NO_VOICE_CAPTIONS, abs=0.15)
    voices = [word for words in VOICE_WORDS.values() for word in words]
    for track in (track for track, is_named in zip(made, named, strict=True) if not is_named):
        assert not any(words in track.caption.split(", ") for words in voices)


def test_a_share_beyond_one_is_refused():
    with pytest.raises(InputError, match="vocals 30: a share lies between 0 and 1"):
        tracks(30.0)
