"""One-bar patterns for accompaniment, bass and drums, in beats and independent of the key."""

from .drums import CLAP, CLOSED_HAT, KICK, OPEN_HAT, RIDE, RIM, SHAKER, SNARE

# (beat, length in beats, chord voices from the bottom; None is the whole chord)
Strike = tuple[float, float, tuple[int, ...] | None]


def _arpeggio_strikes(voices: tuple[int, ...], step: float, length: float) -> tuple[Strike, ...]:
    return tuple((i * step, length, (voice,)) for i, voice in enumerate(voices))


def _chord_strikes(beats: tuple[float, ...], length: float) -> tuple[Strike, ...]:
    return tuple((beat, length, None) for beat in beats)


COMP: dict[str, tuple[Strike, ...]] = {
    "block": _chord_strikes((0.0,), 3.9),
    "halves": _chord_strikes((0.0, 2.0), 1.9),
    "quarters": _chord_strikes((0.0, 1.0, 2.0, 3.0), 0.85),
    "offbeats": _chord_strikes((0.5, 1.5, 2.5, 3.5), 0.3),
    "stabs": _chord_strikes((0.0, 1.5, 2.5), 0.25),
    "charleston": _chord_strikes((0.0, 1.5), 0.6),
    "strum": (*_chord_strikes((0.0, 2.0), 0.95), *_chord_strikes((1.0, 1.5, 2.5, 3.0, 3.5), 0.45)),
    "oompah": ((0.0, 0.9, (0,)), *((beat, 0.6, (1, 2)) for beat in (1.0, 2.0, 3.0))),
    "arpeggio": _arpeggio_strikes((0, 1, 2, 3, 2, 1, 2, 1), 0.5, 0.9),
    "broken": _arpeggio_strikes((0, 2, 1, 2, 0, 2, 1, 2), 0.5, 0.7),
    "ostinato": _arpeggio_strikes((0, 2, 2, 1, 2, 2, 1, 2), 0.5, 0.4),
    "arpeggio 16": _arpeggio_strikes((0, 1, 2, 3) * 4, 0.25, 0.22),
    "dub stabs": _chord_strikes((0.75, 2.75), 0.2),
    "bossa": _chord_strikes((0.0, 1.5, 3.0), 0.7) + _chord_strikes((1.0, 2.5), 0.35),
    "tango": _chord_strikes((0.0, 1.0, 2.0, 3.0), 0.3) + _chord_strikes((3.5,), 0.2),
    "chip arpeggio": _arpeggio_strikes((0, 1, 2) * 11, 0.125, 0.12)[:32],
}

# (beat, length, what): r root, f fifth, o octave up, t third, a approach to the next root
BASS: dict[str, tuple[tuple[float, float, str], ...]] = {
    "long": ((0.0, 3.9, "r"),),
    "root fifth": ((0.0, 1.8, "r"), (2.0, 1.8, "f")),
    "two feel": ((0.0, 1.7, "r"), (2.0, 1.2, "f"), (3.0, 0.6, "a")),
    "pushed": ((0.0, 1.3, "r"), (1.5, 0.4, "r"), (2.5, 1.3, "f")),
    "walking": ((0.0, 0.9, "r"), (1.0, 0.9, "t"), (2.0, 0.9, "f"), (3.0, 0.9, "a")),
    "eighths": tuple((i / 2, 0.42, "r") for i in range(8)),
    "offbeats": tuple((i + 0.5, 0.4, "r") for i in range(4)),
    "octaves": tuple((i / 2, 0.4, "ro"[i % 2]) for i in range(8)),
    "bossa": ((0.0, 1.4, "r"), (1.5, 0.4, "f"), (2.0, 1.4, "f"), (3.5, 0.4, "r")),
    "habanera": ((0.0, 1.4, "r"), (1.5, 0.4, "f"), (2.0, 0.9, "o"), (3.0, 0.9, "f")),
    "deep": ((0.0, 0.6, "r"), (1.75, 0.3, "r"), (2.5, 0.9, "r")),
    "sixteenths": tuple((i / 4, 0.2, "rrorrror"[i % 8]) for i in range(16)),
}

# One bar of sixteenths: X accent, x normal, . rest.
DRUMS: dict[str, dict[int, str]] = {
    "ballad": {KICK: "X.........x.....", RIM: "....x.......x...", CLOSED_HAT: "x...x...x...x..."},
    "backbeat": {
        KICK: "X.......X.x.....", SNARE: "....X.......X...", CLOSED_HAT: "X.x.X.x.X.x.X.x.",
    },
    "backbeat busy": {
        KICK: "X..x..x.X.x..x..", SNARE: "....X..x....X...", CLOSED_HAT: "XxxxXxxxXxxxXx..",
        OPEN_HAT: "..............x.",
    },
    "brushes": {KICK: "x.......x.......", SHAKER: "x.xxX.xxx.xxX.xx"},
    "four on the floor": {
        KICK: "X...X...X...X...", CLAP: "....X.......X...", OPEN_HAT: "..x...x...x...x.",
    },
    "four on the floor busy": {
        KICK: "X...X...X...X...", CLAP: "....X.......X..x", OPEN_HAT: "..X...X...X...X.",
        CLOSED_HAT: "xx.xxx.xxx.xxx.x",
    },
    "swing": {RIDE: "X...X.x.X...X.x.", CLOSED_HAT: "....x.......x...", KICK: "x.........x.....",
              SNARE: "......x.......x."},
    "boom bap": {
        KICK: "X.....x...x.....", SNARE: "....X.......X...", CLOSED_HAT: "x.x.x.x.x.x.x.x.",
    },
    "boom bap busy": {KICK: "X..x......xx....", SNARE: "....X..x....X..x",
                      CLOSED_HAT: "x.xxx.x.x.xxx.x."},
    "dub": {
        KICK: "X...X...X...X...", OPEN_HAT: "..x...x...x...x.", RIM: "...x......x..x..",
        SHAKER: "x.xxx.xxx.xxx.xx",
    },
    "bossa": {
        KICK: "X.....x.X.....x.", RIM: "x..x..x...x..x..", CLOSED_HAT: "x.x.x.x.x.x.x.x.",
    },
    "toms": {KICK: "X.....x.X...x.x.", SNARE: "............x.xx"},
}  # fmt: skip

FILL: dict[int, str] = {
    KICK: "X...........x...", SNARE: "........x.xxxxXx", CLOSED_HAT: "x.x.x.x.........",
}  # fmt: skip
"""Last bar of a four-bar phrase, for drum patterns with a snare."""
