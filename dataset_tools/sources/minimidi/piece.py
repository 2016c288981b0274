"""A piece as data: what was composed, before any sound, and the ground truth read from it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One sounding event; drum hits carry the kit's name and a General MIDI percussion pitch."""

    instrument: str
    pitch: int
    """MIDI number, 60 = middle C."""
    start_s: float
    duration_s: float
    """Time the key is held; the sound rings on for the instrument's release."""
    velocity: int
    """1..127."""


@dataclass(frozen=True)
class Piece:
    """A cut of endless music that starts on the first beat of a bar."""

    seed: int
    style: str
    duration_s: float
    tempo_bpm: int
    beats_per_bar: int
    key: str
    """Name of the tonic, sharps only."""
    mode: str
    """"major" or "minor" (natural)."""
    moods: tuple[str, ...]
    density: str
    """"sparse", "medium" or "busy"."""
    instruments: tuple[str, ...]
    """One to three pitched instruments, the lead first."""
    drums: str | None
    notes: tuple[Note, ...]
    """Sorted by start; drum hits included."""

    @property
    def beat_times_s(self) -> list[float]:
        """Every beat inside the piece, before swing and human timing."""
        beat_s = 60 / self.tempo_bpm
        return [
            i * beat_s
            for i in range(int(self.duration_s / beat_s) + 1)
            if i * beat_s < self.duration_s
        ]


def truth(piece: Piece) -> dict[str, object]:
    """Everything known about the piece as JSON-able values; notes as 5-tuples in Note's order."""
    notes = [(n.instrument, n.pitch, n.start_s, n.duration_s, n.velocity) for n in piece.notes]
    return {
        "seed": piece.seed,
        "style": piece.style,
        "instruments": list(piece.instruments),
        "drums": piece.drums,
        "tempo_bpm": piece.tempo_bpm,
        "beats_per_bar": piece.beats_per_bar,
        "key": piece.key,
        "mode": piece.mode,
        "moods": list(piece.moods),
        "density": piece.density,
        "beat_times_s": piece.beat_times_s,
        "notes": notes,
    }
