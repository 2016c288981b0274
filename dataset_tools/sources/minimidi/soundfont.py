"""Render a piece by FluidSynth: ``dmm data build --source minimidi --soundfont FILE``.

The notes and the style's effects (room, echo, tape) are those of ``render``; the timbres are the
SoundFont's General MIDI presets. Needs the extra ``soundfont`` and the system's libfluidsynth.
"""

import ctypes
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from dmm.errors import InputError
from dmm.files import open_bytes, sha256_file

from .instruments import INSTRUMENTS
from .piece import Note, Piece
from .render import add_effects_and_level

DRUM_CHANNEL, DRUM_BANK = 9, 128
"""Percussion is channel 10, which programs count as 9."""
KIT_PROGRAMS = {"electronic drums": 25, "chip drums": 25}
"""Roland's number of the TR-808 kit. Other kits, and SoundFonts without it, use the standard
kit."""
GAIN = 0.9
"""FluidSynth's master gain: the mean RMS is -21.6 dBFS with TimGM6mb, -19.5 with FluidR3."""
SETTINGS = {
    "synth.reverb.active": 0,  # reverberation and chorus are effects of the style
    "synth.chorus.active": 0,
    "synth.dynamic-sample-loading": 1,  # a piece needs a few of the 140 MB
    "synth.lock-memory": 0,
}
PAN_CONTROLLER = 10
"""Number of the MIDI controller for pan."""


def checked_soundfont_sha256(path: Path) -> str:
    """SHA-256 of a SoundFont; InputError if it or FluidSynth is missing, or it is damaged."""
    if not path.is_file():
        raise InputError(f"no SoundFont at {path}; name an .sf2 or .sf3 file (--soundfont)")
    with open_bytes(path) as file:
        head = file.read(12)
    if (head[:4], head[8:]) != (b"RIFF", b"sfbk"):
        raise InputError(f"{path} is no SoundFont; name an .sf2 or .sf3 file (--soundfont)")
    with _without_stderr():
        synth, _ = _open_synth(path, 44_100)
        synth.delete()
    return sha256_file(path)


def render_by_soundfont(piece: Piece, soundfont: Path, sr: int) -> Float[np.ndarray, "2 samples"]:
    """Render to float32 stereo of round(duration_s * sr) samples, with a peak of at most 0.99.

    FluidSynth starts notes at multiples of 64 samples, so they are up to 3 ms late at 22,050 Hz.
    InputError if FluidSynth is not installed, cannot read the SoundFont, or finds no preset for an
    instrument of the piece.
    """
    synth, font = _open_synth(soundfont, sr)
    try:
        channels = _assign_channels(synth, font, piece, soundfont.name)
        dry = _play_notes(synth, piece, channels, sr)
    finally:
        synth.delete()
    return add_effects_and_level(dry, piece, sr)


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Within the block, discard what C libraries write to stderr, as libinstpatch does."""
    stderr_copy = os.dup(2)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(stderr_copy, 2)
        os.close(stderr_copy)


@cache
def _import_fluidsynth() -> Any:
    """Import pyfluidsynth and switch off its library's log; InputError if either is missing."""
    try:
        library = importlib.import_module("fluidsynth")
    except ModuleNotFoundError as error:
        raise InputError(
            "--soundfont needs pyfluidsynth; uv sync --inexact --extra soundfont "
            "(or pip install -e '.[soundfont]')"
        ) from error
    except ImportError as error:
        raise InputError(
            "--soundfont needs the library libfluidsynth; apt install libfluidsynth3, "
            "dnf install fluidsynth-libs, brew install fluid-synth or choco install fluidsynth"
        ) from error
    silence = _bind_c_function(
        "fluid_set_log_function", ("level", ctypes.c_int), "function", "data"
    )
    for level in range(5):
        silence(level, None, None)
    return library


def _bind_c_function(name: str, *parameters: str | tuple[str, Any]) -> Any:
    """Bind a libfluidsynth function that pyfluidsynth lacks; untyped parameters are pointers."""
    typed = [p if isinstance(p, tuple) else (p, ctypes.c_void_p) for p in parameters]
    return importlib.import_module("fluidsynth").cfunc(
        name, ctypes.c_int, *((parameter, kind, 1) for parameter, kind in typed)
    )


def _open_synth(soundfont: Path, sr: int) -> tuple[Any, int]:
    """A new synthesiser and its number for the SoundFont; InputError for a damaged file."""
    synth = _import_fluidsynth().Synth(GAIN, float(sr), channels=16, **SETTINGS)
    font = synth.sfload(str(soundfont))
    if font < 0:
        synth.delete()
        raise InputError(
            f"{soundfont.name} is damaged: FluidSynth cannot read it; download it again"
        )
    return synth, font


def _assign_channels(synth: Any, font: int, piece: Piece, file: str) -> dict[str, int]:
    """Set preset and pan of every instrument; returns instrument name to MIDI channel.

    InputError if the SoundFont lacks a preset.
    """
    channels = {name: channel for channel, name in enumerate(piece.instruments)}
    for name, channel in channels.items():
        program = INSTRUMENTS[name].program
        if synth.program_select(channel, font, 0, program) < 0:
            raise InputError(_no_preset_message(file, name, f"program {program}"))
        synth.cc(channel, PAN_CONTROLLER, round(64 + 63 * INSTRUMENTS[name].pan))
    if piece.drums:
        channels[piece.drums] = DRUM_CHANNEL
        kits = (KIT_PROGRAMS.get(piece.drums, 0), 0)
        if all(synth.program_select(DRUM_CHANNEL, font, DRUM_BANK, kit) < 0 for kit in kits):
            raise InputError(_no_preset_message(file, piece.drums, f"bank {DRUM_BANK}, program 0"))
    return channels


def _no_preset_message(file: str, name: str, preset_number: str) -> str:
    return f"no preset: {file} has no {name} ({preset_number}); use a General MIDI SoundFont"


def _play_notes(
    synth: Any, piece: Piece, channels: dict[str, int], sr: int
) -> Float[np.ndarray, "2 samples"]:
    """Play all notes; a key pressed again before its release stays down for the later note."""
    out = np.zeros((2, round(piece.duration_s * sr)), np.float32)
    latest: dict[tuple[int, int], Note] = {}
    at = 0
    for sample, pressed, note in _key_events(piece, sr):
        _render_into(synth, out, at, sample)
        at = max(at, sample)
        key = (channels[note.instrument], note.pitch)
        if pressed:
            synth.noteon(*key, _soundfont_velocity(note))
            latest[key] = note
        elif latest[key] is note:
            synth.noteoff(*key)
    _render_into(synth, out, at, out.shape[1])
    return out


def _key_events(piece: Piece, sr: int) -> list[tuple[int, bool, Note]]:
    """(sample, is pressed, note) in order of time; releases come before presses."""
    presses = [(round(n.start_s * sr), True, n) for n in piece.notes]
    releases = [(round((n.start_s + n.duration_s) * sr), False, n) for n in piece.notes]
    return sorted(presses + releases, key=lambda key: key[:2])


def _soundfont_velocity(note: Note) -> int:
    """MIDI velocity at which a SoundFont is as loud as ``render`` at the note's velocity.

    A SoundFont's level grows with the square of the velocity, that of ``render`` with its power of
    1.5.
    """
    return round(127 * (note.velocity / 127) ** 0.75)


def _render_into(synth: Any, out: Float[np.ndarray, "2 samples"], start: int, stop: int) -> None:
    """Render the synthesiser's next samples into ``out`` from ``start`` to ``stop`` or its end.

    pyfluidsynth's own ``get_samples`` clips at 16 bits and dithers by libc's ``rand``. Other
    libraries use ``rand`` too, so two processes would not always give the same bytes.
    """
    count = min(stop, out.shape[1]) - start
    if count > 0:
        left, right = (side.ctypes.data for side in out)
        number = ctypes.c_int
        write = _bind_c_function(
            "fluid_synth_write_float", "synth", ("count", number),
            "left", ("left_start", number), ("left_step", number),
            "right", ("right_start", number), ("right_step", number),
        )  # fmt: skip
        write(synth.synth, count, left, start, 1, right, start, 1)
