"""Check that training clips are instrumental, by their captions and by the vocal gate."""

from collections.abc import Iterator

from ..captions.lexicon import load_lexicon
from ..captions.voice_phrase import voice_mentions
from ..dataset import Dataset
from ..finding import Finding
from ..vocals.gate import place_track
from .captions import rewording

REMEDY = "build again, or with --vocals keep if voices are wanted"


def check_voices(dataset: Dataset) -> Iterator[Finding]:
    """Find training clips whose caption names a voice, also denied, or whose track may have one.

    Nothing is checked in a dataset built with ``--vocals keep``.
    """
    if dataset.built["options"].get("vocals") != "gate":
        return
    lexicon = load_lexicon()
    for row in dataset.rows:
        where, probability = f"train/{row['id']}.txt", row["vocal_probability"]
        if row["split"] != "train":
            continue
        if voice_mentions(row["caption"], lexicon):
            what = f"the caption names a voice: {row['caption']!r}"
            yield Finding("voice", where, what, rewording(row, REMEDY))
        if probability is not None and place_track(probability) != "train":
            what = f"a voice with probability {probability:.2f}, but trained on as instrumental"
            yield Finding("voice", where, what, REMEDY)
