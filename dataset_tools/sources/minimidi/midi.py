"""Convert a piece to a pretty_midi object."""

from typing import TYPE_CHECKING

from .instruments import INSTRUMENTS
from .piece import Piece

if TYPE_CHECKING:
    from pretty_midi import PrettyMIDI


def to_pretty_midi(piece: Piece) -> "PrettyMIDI":
    """MIDI with a track for each instrument and its General MIDI program; drums are last."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(initial_tempo=piece.tempo_bpm)
    midi.time_signature_changes = [pretty_midi.TimeSignature(piece.beats_per_bar, 4, 0)]
    for name in (*piece.instruments, *([piece.drums] if piece.drums else [])):
        is_drum = name == piece.drums
        program = 0 if is_drum else INSTRUMENTS[name].program
        track = pretty_midi.Instrument(program, is_drum, name)
        track.notes = [
            pretty_midi.Note(n.velocity, n.pitch, n.start_s, n.start_s + n.duration_s)
            for n in piece.notes
            if n.instrument == name
        ]
        midi.instruments.append(track)
    return midi
