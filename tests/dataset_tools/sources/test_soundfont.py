"""Rendering by FluidSynth; the SoundFont is made here, with a sine for every instrument."""

import dataclasses
import pickle
import struct
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions
from dataset_tools.sources import SourceRequest
from dataset_tools.sources.catalogue import source_tracks
from dataset_tools.sources.minimidi import Note, compose
from dataset_tools.sources.minimidi import soundfont as module
from dataset_tools.sources.minimidi.soundfont import checked_soundfont_sha256, render_by_soundfont
from dmm.errors import InputError

SR = 22_050
GENERAL_MIDI = [*((0, program) for program in range(128)), (128, 0)]
INSTRUMENT, SAMPLE_MODES, SAMPLE, LOOPED = 41, 54, 53, 1


def chunk(name, data):
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def records(layout, *rows):
    return b"".join(struct.pack("<" + layout, *row) for row in rows)


def sf2(presets):
    """A SoundFont 2.01 whose (bank, program) presets all sound as one looped sine of A4."""
    wave = (12_000 * np.sin(2 * np.pi * np.arange(500) / 50)).astype("<i2").tobytes()
    n = len(presets)
    heads = [(b"%d" % i, preset, bank, i, 0, 0, 0) for i, (bank, preset) in enumerate(presets)]
    generators = records("HH", (SAMPLE_MODES, LOOPED), (SAMPLE, 0), (0, 0))
    sample = (b"sine", 0, 500, 50, 450, 22_000, 69, 0, 0, 1)
    end = (b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    lists = {
        b"INFO": [chunk(b"ifil", records("HH", (2, 1))), chunk(b"INAM", b"sine\0\0")],
        b"sdta": [chunk(b"smpl", wave + bytes(92))],
        b"pdta": [
            chunk(b"phdr", records("20sHHHIII", *heads, (b"EOP", 0, 0, n, 0, 0, 0))),
            chunk(b"pbag", records("HH", *((i, 0) for i in range(n + 1)))),
            chunk(b"pmod", bytes(10)),
            chunk(b"pgen", records("HH", *[(INSTRUMENT, 0)] * n, (0, 0))),
            chunk(b"inst", records("20sH", (b"sine", 0), (b"EOI", 1))),
            chunk(b"ibag", records("HH", (0, 0), (2, 0))),
            chunk(b"imod", bytes(10)),
            chunk(b"igen", generators),
            chunk(b"shdr", records("20sIIIIIBbHH", sample, end)),
        ],
    }
    body = b"".join(chunk(b"LIST", name + b"".join(parts)) for name, parts in lists.items())
    return chunk(b"RIFF", b"sfbk" + body)


@pytest.fixture
def font(tmp_path):
    """A General MIDI SoundFont, where there is a FluidSynth to play it."""
    pytest.importorskip("fluidsynth", exc_type=ImportError)
    path = tmp_path / "sine.sf2"
    path.write_bytes(sf2(GENERAL_MIDI))
    return path


def solo(name, *notes):
    """Notes of (pitch, start_s, duration_s) played by one instrument alone."""
    played = tuple(Note(name, *note, 100) for note in notes)
    return dataclasses.replace(
        compose(1, "chiptune"), instruments=(name,), drums=None, notes=played
    )


@pytest.mark.parametrize("style", ["pop", "lo-fi", "synthwave"])
def test_sound_has_exact_length_level_and_bytes(font, style):
    audio = render_by_soundfont(compose(3, style), font, SR)
    assert audio.shape == (2, round(5.12 * SR)) and audio.dtype == np.float32
    assert -23 < 10 * np.log10(np.square(audio).mean()) < -17
    assert np.abs(audio).max() <= 0.99
    assert audio.tobytes() == render_by_soundfont(compose(3, style), font, SR).tobytes()


def test_a_note_sounds_at_its_pitch_while_its_key_is_held(font):
    audio = np.abs(render_by_soundfont(solo("flute", (81, 1.0, 2.0)), font, SR)).max(0)
    sounding = np.flatnonzero(audio > 0.1 * audio.max()) / SR
    assert sounding[0] == pytest.approx(1.0, abs=0.005)
    assert sounding[-1] == pytest.approx(3.0, abs=0.02)
    side = render_by_soundfont(solo("flute", (81, 1.0, 2.0)), font, SR)[0, round(1.5 * SR) :][:SR]
    assert np.abs(np.fft.rfft(side)).argmax() == 880


def test_a_key_struck_while_held_sounds_until_the_later_note_ends(font):
    audio = render_by_soundfont(solo("organ", (60, 0.5, 1.0), (60, 1.0, 3.0)), font, SR)
    assert np.abs(audio[:, round(3.5 * SR) : round(3.9 * SR)]).max() > 0.01


def test_instruments_are_panned_as_by_the_synthesiser(font):
    left, right = np.square(
        render_by_soundfont(solo("steel guitar", (60, 0.0, 4.0)), font, SR)
    ).sum(1)
    assert left > 1.5 * right


def test_an_instrument_that_the_file_lacks_is_refused_by_name(font):
    font.write_bytes(sf2([(0, 0), (128, 0)]))
    render_by_soundfont(solo("piano", (60, 0.0, 1.0)), font, SR)
    with pytest.raises(InputError, match=r"sine\.sf2 has no flute \(program 73\)"):
        render_by_soundfont(solo("flute", (72, 0.0, 1.0)), font, SR)


def test_dataset_depends_on_the_content_of_the_soundfont_not_on_its_name(font, tmp_path, tree):
    def build(name, soundfont):
        options = BuildOptions("minimidi", "nano", styles=("folk",), soundfont=soundfont)
        build_dataset(tmp_path / name, options, count=3, jobs=1)
        return tree(tmp_path / name)

    other = font.with_name("other.sf2")
    other.write_bytes(font.read_bytes())
    assert build("one", font) == build("two", other)
    (truth, *_) = pq.read_table(tmp_path / "one" / "manifest.parquet")["truth"].to_pylist()
    assert checked_soundfont_sha256(font) in truth and str(tmp_path) not in truth
    other.write_bytes(sf2(GENERAL_MIDI[:-1]))
    with pytest.raises(InputError, match="built with soundfont"):
        build("two", other)


def test_other_processes_play_the_same(font):
    (track,) = source_tracks("minimidi", SourceRequest(count=1, soundfont=font))
    command = "import pickle, sys; load, sr = pickle.load(sys.stdin.buffer); "
    command += "sys.stdout.buffer.write(load(sr, 1).tobytes())"
    played = subprocess.run(
        [sys.executable, "-c", command],
        input=pickle.dumps((track.load, SR)), capture_output=True, check=True,
    )  # fmt: skip
    assert played.stdout == track.load(SR, 1).tobytes() and not played.stderr


def test_the_soundfont_changes_every_id(font):
    ids = {
        track.id
        for soundfont in (None, font)
        for track in source_tracks("minimidi", SourceRequest(count=4, soundfont=soundfont))
    }
    assert len(ids) == 8


def test_damaged_soundfont_is_one_line_and_the_library_keeps_quiet(font, capfd):
    font.write_bytes(font.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"sine\.sf2 is damaged"):
        checked_soundfont_sha256(font)
    assert capfd.readouterr() == ("", "")


def test_missing_files_and_other_files_are_named(tmp_path):
    other = tmp_path / "song.mp3"
    other.write_bytes(b"ID3" + bytes(40))
    for path, words in ((tmp_path / "none.sf2", "no SoundFont at"), (other, "is no SoundFont")):
        with pytest.raises(InputError, match=words):
            BuildOptions("minimidi", soundfont=path).resolved_json()


@pytest.fixture
def no_library(tmp_path, monkeypatch):
    """The head of a SoundFont, and whatever ``fluidsynth`` was imported forgotten."""
    module._import_fluidsynth.cache_clear()
    monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
    path = tmp_path / "some.sf2"
    path.write_bytes(b"RIFF\0\0\0\0sfbk")
    yield path
    module._import_fluidsynth.cache_clear()


def test_without_pyfluidsynth_the_extra_is_named(no_library, monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(InputError, match="uv sync --inexact --extra soundfont"):
        checked_soundfont_sha256(no_library)


def test_without_libfluidsynth_the_package_is_named(no_library, tmp_path, monkeypatch):
    (tmp_path / "fluidsynth.py").write_text("raise ImportError('no FluidSynth library')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="apt install libfluidsynth3"):
        checked_soundfont_sha256(no_library)
