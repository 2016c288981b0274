"""The procedural music source: what it promises about its pieces, sound, truth and captions."""

import dataclasses
import io
import json

import numpy as np
import pretty_midi
import pytest

from dataset_tools.sources.minimidi import (
    BASE_STYLES,
    HELD_OUT_STYLES,
    Note,
    caption,
    compose,
    render,
    to_midi,
    truth,
)
from dataset_tools.sources.minimidi.harmony import KEYS, SCALES
from dataset_tools.sources.minimidi.instruments import INSTRUMENTS

SR = 22_050
STYLES = (*BASE_STYLES, *HELD_OUT_STYLES)


def test_a_seed_always_gives_the_same_bytes():
    first, second = (render(compose(7), SR).tobytes() for _ in range(2))
    assert compose(7) == compose(7)
    assert first == second


def test_different_seeds_give_different_music():
    assert len({compose(seed, "pop").notes for seed in range(20)}) == 20


@pytest.mark.parametrize("style", STYLES)
def test_every_style_renders_finite_sound_of_exact_length_and_level(style):
    audio = render(compose(3, style), SR)
    rms_db = 10 * np.log10(np.square(audio).mean())
    assert audio.shape == (2, round(5.12 * SR))
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 0.99
    assert -25 < rms_db < -16


def test_other_lengths_are_exact_too():
    assert render(compose(3, "folk", duration_s=7.3), SR).shape == (2, round(7.3 * SR))


@pytest.mark.parametrize("style", STYLES)
def test_the_caption_names_every_instrument_of_the_truth(style):
    for seed in range(12):
        piece = compose(seed, style)
        assert all(name in caption(piece) for name in piece.instruments)
        assert 1 <= len(piece.instruments) <= 3


@pytest.mark.parametrize("style", STYLES)
def test_pitched_notes_lie_in_the_scale_and_in_range(style):
    for seed in range(12):
        piece = compose(seed, style)
        tonic = KEYS.index(piece.key)
        pitches = {note.pitch for note in piece.notes if note.instrument != piece.drums}
        assert all((pitch - tonic) % 12 in SCALES[piece.mode] for pitch in pitches)
        assert 28 <= min(pitches) <= max(pitches) <= 91


def test_held_out_styles_are_never_drawn():
    assert {compose(seed).style for seed in range(80)} == set(BASE_STYLES)


def test_held_out_leads_are_unknown_to_the_base_styles():
    base = {name for seed in range(80) for name in compose(seed).instruments}
    held_out = {
        compose(seed, style).instruments[0] for seed in range(9) for style in HELD_OUT_STYLES
    }
    assert not base & held_out


def test_the_truth_survives_json_and_holds_every_note():
    piece = compose(11)
    known = json.loads(json.dumps(truth(piece)))
    assert [Note(*row) for row in known["notes"]] == list(piece.notes)
    assert known["beat_times_s"][1] == pytest.approx(60 / piece.tempo_bpm)


def test_midi_keeps_programs_and_note_counts():
    piece = compose(5, "pop")
    file = io.BytesIO()
    to_midi(piece).write(file)
    midi = pretty_midi.PrettyMIDI(io.BytesIO(file.getvalue()))
    programs = [track.program for track in midi.instruments if not track.is_drum]
    assert programs == [INSTRUMENTS[name].program for name in piece.instruments]
    assert sum(len(track.notes) for track in midi.instruments) == len(piece.notes)


@pytest.mark.parametrize("name", ["piano", "marimba", "music box", "pulse lead"])
def test_energy_rises_where_the_truth_puts_a_note(name):
    notes = tuple(Note(name, 72, start_s, 0.3, 100) for start_s in (0.5, 1.4, 2.9))
    piece = dataclasses.replace(compose(1, "chiptune"), notes=notes)
    level = np.abs(render(piece, SR)).max(0)
    for note in notes:
        at, window = round(note.start_s * SR), round(0.03 * SR)
        assert level[at : at + window].max() > 20 * level[at - window : at].max() + 1e-6


@pytest.mark.parametrize("name", ["piano", "flute", "strings", "organ", "upright bass"])
def test_a_note_sounds_at_its_pitch(name):
    notes = (Note(name, 60 if name != "upright bass" else 36, 0.0, 5.0, 100),)
    audio = render(dataclasses.replace(compose(1, "folk"), notes=notes), SR).mean(0)
    spectrum = np.abs(np.fft.rfft(audio[: 2 * SR] * np.hanning(2 * SR)))
    f0 = 440 * 2 ** ((notes[0].pitch - 69) / 12)
    at = round(f0 * 2)
    assert spectrum[at - 4 : at + 5].max() > 0.2 * spectrum.max()
