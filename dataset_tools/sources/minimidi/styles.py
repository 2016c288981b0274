"""Styles of music: tempos, instruments, patterns and effects to choose from for a piece."""

from dataclasses import dataclass, replace

from dmm.errors import InputError


@dataclass(frozen=True)
class Style:
    """Choices for the pieces of one style; all entries of a tuple are equally likely."""

    name: str
    tempo_bpm: tuple[int, int]
    leads: tuple[str, ...]
    accompaniments: tuple[str | None, ...]
    basses: tuple[str | None, ...]
    kits: tuple[str | None, ...]
    accompaniment_patterns: tuple[str, ...]
    bass_patterns: tuple[str, ...]
    drum_patterns: tuple[str, ...]
    beats_per_bar: tuple[int, ...] = (4,)
    minor_share: float = 0.5
    """Probability that a piece is in minor."""
    sevenths: bool = False
    swing: float = 0.0
    """Delay of off-beat eighths: 0 for straight ones, 1 for triplets."""
    weak_beat_probability: tuple[float, float] = (0.3, 0.6)
    """Range from which a piece takes the probability of a melody note on a weak beat."""
    melody_positions_per_beat: int = 2
    """Number of positions in a beat at which a melody note may begin."""
    timing_error_s: float = 0.005
    """Standard deviation of the notes' timing errors, in seconds."""
    reverb: float = 0.2
    """Level of the reverberation relative to the dry sound."""
    lowpass_hz: float = 20_000.0
    """Cutoff of a low-pass over the whole mix."""
    echo_beats: float = 0.0
    """Beats between echoes; 0 for no echo."""
    chorus: float = 0.0
    """Level of the chorus effect relative to the dry sound."""
    tape: float = 0.0
    """Wow of an old tape: largest relative error of its speed (0.002 is clearly audible)."""
    vinyl: float = 0.0
    """Level of a vinyl record's hiss and crackle; full scale is 1."""


_BASE = (
    Style(
        "ballad", (60, 84),
        leads=("piano", "piano", "strings", "flute", "nylon guitar", "clarinet", "electric piano"),
        accompaniments=("piano", "piano", "strings", "pad", "electric piano", "nylon guitar"),
        basses=("upright bass", "upright bass", None),
        kits=(None, None, "acoustic drums"),
        accompaniment_patterns=("arpeggio", "block", "halves", "broken"),
        bass_patterns=("long", "root fifth"), drum_patterns=("ballad",),
        weak_beat_probability=(0.25, 0.55), reverb=0.3, timing_error_s=0.007,
    ),
    Style(
        "pop", (92, 124),
        leads=("piano", "electric piano", "organ", "steel guitar", "saw lead", "vibraphone",
               "brass"),
        accompaniments=("piano", "piano", "electric piano", "organ", "steel guitar", "pad"),
        basses=("synth bass", "synth bass", "upright bass"),
        kits=("acoustic drums", "acoustic drums", "electronic drums"),
        accompaniment_patterns=("quarters", "block", "strum", "offbeats"),
        bass_patterns=("eighths", "root fifth", "pushed"),
        drum_patterns=("backbeat", "backbeat busy"),
        minor_share=0.35, weak_beat_probability=(0.3, 0.65),
    ),
    Style(
        "folk", (84, 132),
        leads=("nylon guitar", "flute", "clarinet", "marimba", "steel guitar", "steel guitar"),
        accompaniments=("nylon guitar", "nylon guitar", "steel guitar", "steel guitar", "strings",
                        "piano"),
        basses=("upright bass", "upright bass", None),
        kits=(None, None, "acoustic drums"),
        accompaniment_patterns=("strum", "broken", "oompah", "arpeggio"),
        bass_patterns=("root fifth", "long"), drum_patterns=("brushes",),
        beats_per_bar=(4, 3), minor_share=0.35, weak_beat_probability=(0.35, 0.7), reverb=0.12,
        timing_error_s=0.006,
    ),
    Style(
        "dance", (116, 138),
        leads=("saw lead", "saw lead", "organ", "electric piano", "brass", "marimba"),
        accompaniments=("pad", "saw lead", "organ", "piano", "strings"),
        basses=("synth bass",), kits=("electronic drums",),
        accompaniment_patterns=("offbeats", "stabs", "block", "arpeggio 16"),
        bass_patterns=("offbeats", "octaves", "eighths"),
        drum_patterns=("four on the floor", "four on the floor busy"),
        minor_share=0.65, weak_beat_probability=(0.4, 0.75), timing_error_s=0.001, reverb=0.12,
    ),
    Style(
        "jazz", (96, 156),
        leads=("brass", "clarinet", "vibraphone", "piano", "nylon guitar", "flute"),
        accompaniments=("piano", "piano", "electric piano", "organ", "nylon guitar", None),
        basses=("upright bass",), kits=("acoustic drums", "acoustic drums", None),
        accompaniment_patterns=("charleston", "stabs", "block"),
        bass_patterns=("walking", "walking", "two feel"), drum_patterns=("swing",),
        sevenths=True, swing=0.9, weak_beat_probability=(0.45, 0.8), reverb=0.14,
        timing_error_s=0.007,
    ),
    Style(
        "lo-fi", (66, 92),
        leads=("electric piano", "vibraphone", "piano", "nylon guitar", "flute"),
        accompaniments=("electric piano", "electric piano", "pad", "nylon guitar", "piano"),
        basses=("synth bass", "upright bass"), kits=("lo-fi drums",),
        accompaniment_patterns=("block", "halves", "charleston", "broken"),
        bass_patterns=("long", "pushed", "two feel"), drum_patterns=("boom bap", "boom bap busy"),
        minor_share=0.6, sevenths=True, swing=0.5, weak_beat_probability=(0.25, 0.55),
        lowpass_hz=4200.0, timing_error_s=0.009, tape=0.0015, vinyl=0.003,
    ),
    Style(
        "cinematic", (60, 104),
        leads=("strings", "brass", "flute", "piano", "clarinet", "strings"),
        accompaniments=("strings", "strings", "pad", "brass", "piano"),
        basses=("upright bass", None, None), kits=(None, None, "acoustic drums"),
        accompaniment_patterns=("block", "block", "halves", "ostinato"),
        bass_patterns=("long",), drum_patterns=("toms",),
        beats_per_bar=(4, 3), minor_share=0.65, weak_beat_probability=(0.2, 0.5), reverb=0.45,
        timing_error_s=0.008,
    ),
)  # fmt: skip

_HELD_OUT = (
    Style(
        "chiptune", (118, 160),
        leads=("pulse lead",), accompaniments=("pulse lead",), basses=("chip bass",),
        kits=("chip drums",), accompaniment_patterns=("chip arpeggio",),
        bass_patterns=("octaves", "eighths"), drum_patterns=("backbeat busy", "backbeat"),
        minor_share=0.4, weak_beat_probability=(0.5, 0.85), melody_positions_per_beat=4,
        timing_error_s=0.0, reverb=0.0,
    ),
    Style(
        "music box", (66, 112),
        leads=("music box",), accompaniments=("music box",), basses=(None,), kits=(None,),
        accompaniment_patterns=("oompah", "broken", "arpeggio"), bass_patterns=("long",),
        drum_patterns=("brushes",), beats_per_bar=(3, 3, 4), minor_share=0.3,
        weak_beat_probability=(0.35, 0.75), reverb=0.25, timing_error_s=0.004,
    ),
    Style(
        "synthwave", (80, 112),
        leads=("analog lead",), accompaniments=("pad", "analog lead", "pad"),
        basses=("synth bass",), kits=("electronic drums",),
        accompaniment_patterns=("block", "arpeggio 16"), bass_patterns=("sixteenths",),
        drum_patterns=("backbeat", "four on the floor"), minor_share=0.85,
        weak_beat_probability=(0.25, 0.55), timing_error_s=0.0, reverb=0.4, chorus=0.5,
    ),
    Style(
        "dub techno", (116, 130),
        leads=("dub chord",), accompaniments=("dub chord", "pad"), basses=("synth bass",),
        kits=("electronic drums",), accompaniment_patterns=("dub stabs",), bass_patterns=("deep",),
        drum_patterns=("dub",), minor_share=0.9, sevenths=True, weak_beat_probability=(0.15, 0.35),
        reverb=0.5, timing_error_s=0.001, echo_beats=0.75, lowpass_hz=7000.0,
    ),
    Style(
        "bossa nova", (110, 140),
        leads=("saxophone",), accompaniments=("nylon guitar",), basses=("upright bass",),
        kits=("acoustic drums",), accompaniment_patterns=("bossa",), bass_patterns=("bossa",),
        drum_patterns=("bossa",), minor_share=0.4, sevenths=True,
        weak_beat_probability=(0.35, 0.6), reverb=0.18, timing_error_s=0.006,
    ),
    Style(
        "tango", (108, 132),
        leads=("accordion",), accompaniments=("piano", "strings", "piano"),
        basses=("upright bass",), kits=(None,), accompaniment_patterns=("tango",),
        bass_patterns=("habanera",), drum_patterns=("brushes",), minor_share=0.85,
        weak_beat_probability=(0.4, 0.7), reverb=0.2, timing_error_s=0.006,
    ),
)  # fmt: skip

UNSEEN_PAIRS: frozenset[frozenset[str]] = frozenset(
    frozenset(pair)
    for pair in (
        ("flute", "strings"), ("clarinet", "nylon guitar"), ("vibraphone", "electric piano"),
        ("saw lead", "organ"), ("brass", "pad"), ("marimba", "piano"), ("steel guitar", "organ"),
        ("clarinet", "piano"), ("flute", "electric piano"),
    )
)  # fmt: skip
"""Pairs of lead and accompaniment that occur together only with ``unseen``. They test whether a
model combines instruments that it has seen only apart."""

STYLES: dict[str, Style] = {style.name: style for style in (*_BASE, *_HELD_OUT)}
BASE_STYLES: tuple[str, ...] = tuple(style.name for style in _BASE)
HELD_OUT_STYLES: tuple[str, ...] = tuple(style.name for style in _HELD_OUT)


def with_all_players(style: Style) -> Style:
    """Give a base style the instruments of all base styles; other styles stay as they are.

    A model trained on such pieces too takes a style from its rhythms and chords, not from its
    instruments, and can combine any of them.
    """
    if style not in _BASE:
        return style

    def of_all(kind: str) -> tuple[str | None, ...]:
        return tuple(dict.fromkeys(name for base in _BASE for name in getattr(base, kind)))

    return replace(
        style,
        leads=tuple(name for name in of_all("leads") if name),
        accompaniments=of_all("accompaniments"),
        basses=of_all("basses"),
        kits=of_all("kits"),
    )


def lead_accompaniment_pairs(style: Style, unseen: bool) -> list[tuple[str, str | None]]:
    """(lead, accompaniment) pairs of a style, of ``UNSEEN_PAIRS`` if ``unseen``, else all others.

    A pair is repeated as often as its instruments are.
    """
    return [
        (lead, comp)
        for lead in style.leads
        for comp in style.accompaniments
        if (frozenset((lead, comp)) in UNSEEN_PAIRS) == unseen
    ]


def styles_with_pairs(unseen: bool) -> list[str]:
    """Names of the styles that have a pair of instruments to compose for."""
    return [name for name, style in STYLES.items() if lead_accompaniment_pairs(style, unseen)]


def require_style(name: str, unseen: bool) -> None:
    """Raise InputError if a style is unknown, or has no pair of instruments to compose for."""
    if name not in STYLES:
        raise InputError(f"no style {name!r}; known: {', '.join(STYLES)}")
    able = styles_with_pairs(unseen)
    if name not in able:
        raise InputError(f"no unseen pair of instruments in {name!r}; in: {', '.join(able)}")
