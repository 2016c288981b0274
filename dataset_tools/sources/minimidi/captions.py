"""Captions and prompts in the words of users, made from what is true of the piece."""

from dataclasses import dataclass

import numpy as np

from .piece import Piece

# "" leaves the slot empty; {drums} vanishes with it. The last forms name a part of what plays.
TEMPLATES = (
    "{instruments}, {moods}, {pace}, {mode}",
    "{style}, {instruments}, {drums}, {moods}, {pace}, {mode}",
    "{moods} {style} with {instruments}, {pace}, {mode}, {drums}",
    "{style}, {instruments}, {drums}, {bpm} bpm, {key} {mode}, {mood}",
    "{pace} {mode} {style}, {instruments}, {drums}, {moods}",
    "{instruments}, {drums}, {style}, {moods}, {bpm} bpm",
    "{front}, {moods}, {pace}",
    "{mood} {style}, {front}, {pace}",
    "{front}, {mood}, {mode}",
)
_WEIGHTS = (0.12, 0.15, 0.1, 0.1, 0.1, 0.08, 0.15, 0.1, 0.1)
PARAPHRASED = 0.3
"""Chance of a word to be said in another way, where there is one."""
SYNONYMS: dict[str, tuple[str, ...]] = {
    "happy": ("cheerful", "joyful"),
    "warm": ("tender", "gentle"),
    "melancholic": ("sad", "wistful"),
    "dark": ("gloomy", "brooding"),
    "energetic": ("lively", "driving"),
    "playful": ("light-hearted",),
    "dramatic": ("intense",),
    "mellow": ("calm", "relaxed"),
    "sparse": ("minimal",),
    "busy": ("dense",),
    "slow": ("slow tempo", "downtempo"),
    "medium tempo": ("mid-tempo", "moderate tempo"),
    "fast": ("fast tempo", "uptempo"),
    "minor": ("minor key",),
    "major": ("major key",),
    "no drums": ("without drums",),
    "acoustic drums": ("drum kit",),
    "electronic drums": ("drum machine",),
    "electric piano": ("rhodes",),
    "nylon guitar": ("classical guitar",),
    "steel guitar": ("acoustic guitar",),
    "upright bass": ("double bass",),
    "saw lead": ("synth lead",),
    "pad": ("synth pad",),
    "brass": ("brass section",),
    "strings": ("string section",),
    "organ": ("drawbar organ",),
}
"""Other words for what a caption says; they mean the same here, so none is used twice."""


@dataclass(frozen=True)
class Prompt:
    """What a user would ask for: one or two instruments and two or three descriptors."""

    text: str
    instruments: tuple[str, ...]
    pace: str
    mode: str


def caption(piece: Piece) -> str:
    """One caption of the piece, its form and its words chosen by the piece's seed.

    Facts left out of a form are simply unsaid; nothing untrue is ever said.
    """
    rng = np.random.default_rng([2027, piece.seed])
    template = TEMPLATES[rng.choice(len(TEMPLATES), p=_WEIGHTS)]
    moods = piece.moods[: int(rng.integers(1, len(piece.moods) + 1))]
    drums = piece.drums or ("no drums" if rng.random() < 0.5 else "")

    def say(word: str) -> str:
        others = SYNONYMS.get(word, ())
        return str(rng.choice(others)) if others and rng.random() < PARAPHRASED else word

    text = template.format(
        instruments=listed(tuple(say(name) for name in piece.instruments)),
        front=listed(tuple(say(name) for name in piece.instruments[:2])),
        drums=say(drums),
        moods=(", " if "{moods} " not in template else " ").join(say(mood) for mood in moods),
        mood=say(piece.moods[0]),
        style=piece.style,
        pace=say(pace(piece.tempo_bpm)),
        bpm=piece.tempo_bpm,
        key=piece.key,
        mode=say(piece.mode),
    )
    return ", ".join(part.strip() for part in text.split(",") if part.strip())


def prompt(piece: Piece) -> Prompt:
    """The piece's first one or two instruments, a mood, the pace and the mode."""
    asked = piece.instruments[: 1 + piece.seed % 2]
    speed = pace(piece.tempo_bpm)
    words = (listed(asked), piece.moods[0], speed, piece.mode)
    return Prompt(", ".join(words), asked, speed, piece.mode)


def listed(names: tuple[str, ...]) -> str:
    """Names as English says them.

    >>> listed(("flute", "piano", "upright bass"))
    'flute, piano and upright bass'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def pace(tempo_bpm: int) -> str:
    """Tempo as a word: slow below 84 BPM, fast from 116."""
    return "slow" if tempo_bpm < 84 else "fast" if tempo_bpm >= 116 else "medium tempo"
