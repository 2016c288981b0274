"""A composed piece: its notes, tempo, key and instruments, before any sound is made."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Note:
    """One note; drum hits have the kit's name and a General MIDI percussion pitch."""

    instrument: str
    pitch: int
    """MIDI number, 60 = middle C."""
    start_s: float
    duration_s: float
    """Time for which the key is held; the release of the instrument follows."""
    velocity: int
    """1..127."""


@dataclass(frozen=True)
class Piece:
    """A piece of music that starts on the first beat of a bar, as if cut out of a longer one."""

    seed: int
    style: str
    duration_s: float
    tempo_bpm: int
    beats_per_bar: int
    key: str
    """Name of the tonic, with sharps only."""
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
        """Times of all beats in the piece, without swing and timing errors."""
        beat_s = 60 / self.tempo_bpm
        return [
            i * beat_s
            for i in range(int(self.duration_s / beat_s) + 1)
            if i * beat_s < self.duration_s
        ]


def piece_facts(piece: Piece) -> dict[str, object]:
    """Facts about the piece as JSON values; notes are 5-tuples in the order of ``Note``."""
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
