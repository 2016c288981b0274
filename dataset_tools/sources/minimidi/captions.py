"""Captions and prompts of a piece, made from its exact facts in the words that users write."""

from dataclasses import dataclass

import numpy as np

from .piece import Piece

# {front} is the first two instruments. An empty slot, such as {drums} without drums, is left out.
TEMPLATES = (
    "{instruments}, {moods}, {pace}, {mode}",
    "{style}, {instruments}, {drums}, {moods}, {pace}, {mode}",
    "{moods} {style} with {instruments}, {pace}, {mode}, {drums}",
    "{style}, {instruments}, {drums}, {bpm} bpm, {mode}, {mood}",
    "{pace} {mode} {style}, {instruments}, {drums}, {moods}",
    "{instruments}, {drums}, {style}, {moods}, {bpm} bpm",
    "{front}, {moods}, {pace}",
    "{mood} {style}, {front}, {pace}",
    "{front}, {mood}, {mode}",
)
_WEIGHTS = (0.12, 0.15, 0.1, 0.1, 0.1, 0.08, 0.15, 0.1, 0.1)
PARAPHRASED = 0.3
"""Probability of replacing a word that has synonyms by one of them."""
KEY_NAMED = 0.7
"""Probability of naming the key too where a template has the mode: "A minor"."""
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
"""Word to other words of exactly the same meaning; no synonym belongs to two words."""


@dataclass(frozen=True)
class Prompt:
    """A request as users write it: ``text``, and the instruments, pace and mode it asks for.

    ``text`` has one or two instruments, a mood, the pace and the mode.
    """

    text: str
    instruments: tuple[str, ...]
    pace: str
    mode: str


def caption(piece: Piece) -> str:
    """Caption of the piece; its template and words are chosen by the piece's seed.

    A template may leave facts out, but nothing in a caption is untrue.
    """
    rng = np.random.default_rng([2027, piece.seed])
    template = TEMPLATES[rng.choice(len(TEMPLATES), p=_WEIGHTS)]
    moods = piece.moods[: int(rng.integers(1, len(piece.moods) + 1))]
    drums = piece.drums or ("no drums" if rng.random() < 0.5 else "")

    def say(word: str) -> str:
        others = SYNONYMS.get(word, ())
        return str(rng.choice(others)) if others and rng.random() < PARAPHRASED else word

    text = template.format(
        instruments=join_names(tuple(say(name) for name in piece.instruments)),
        front=join_names(tuple(say(name) for name in piece.instruments[:2])),
        drums=say(drums),
        moods=(", " if "{moods} " not in template else " ").join(say(mood) for mood in moods),
        mood=say(piece.moods[0]),
        style=piece.style,
        pace=say(tempo_word(piece.tempo_bpm)),
        bpm=piece.tempo_bpm,
        mode=f"{piece.key} {piece.mode}" if rng.random() < KEY_NAMED else say(piece.mode),
    )
    return ", ".join(part.strip() for part in text.split(",") if part.strip())


def prompt(piece: Piece) -> Prompt:
    """Prompt for the piece's first one or two instruments, its first mood, its pace and mode."""
    instruments = piece.instruments[: 1 + piece.seed % 2]
    speed = tempo_word(piece.tempo_bpm)
    words = (join_names(instruments), piece.moods[0], speed, piece.mode)
    return Prompt(", ".join(words), instruments, speed, piece.mode)


def join_names(names: tuple[str, ...]) -> str:
    """Join names by commas, and by "and" before the last one.

    >>> join_names(("flute", "piano", "upright bass"))
    'flute, piano and upright bass'
    """
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def tempo_word(tempo_bpm: int) -> str:
    """Tempo as a word: slow below 84 BPM, fast from 116 BPM, otherwise medium tempo."""
    return "slow" if tempo_bpm < 84 else "fast" if tempo_bpm >= 116 else "medium tempo"
