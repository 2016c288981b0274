"""How often descriptions by the sound are right.

``python benchmarks/description_accuracy.py --soundfont SF2``

Describes MiniMIDI pieces, whose instruments, tempo and key are known, by their sound: as MiniMIDI
plays them, and as FluidSynth plays the same scores with a General MIDI SoundFont such as Debian's
fluid-soundfont-gm. Each is described twice by nano-clap: by the comparison of sound and words alone
("words"), which is all that CLAP has on real music, and with nano-clap's trained classifiers
("classifiers"), which know MiniMIDI's own sounds.

Prints the head of a table and a Markdown row for each. Instruments: the votes, and those in
captions; a general term for a special one ("guitar" for a classical guitar) is right. Tempo: share
of all pieces within 4 %, then half or double. Key: exact, then relative major or minor. Intervals
are of 95 % (bootstrap over pieces). Speed: CPU seconds of embedding and measuring.
"""

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from jaxtyping import Float
from provenance import provenance

from dataset_tools.captions.compose import compose_caption
from dataset_tools.captions.facets import facet_probabilities
from dataset_tools.captions.lexicon import Lexicon, load_lexicon
from dataset_tools.captions.reduce import is_kind_of
from dataset_tools.description import Description, TrackSound, describe_tracks
from dataset_tools.sound_facts import PITCH_CLASSES, measure_sound_facts
from dataset_tools.sources import SourceRequest
from dataset_tools.sources.minimidi_clips import tracks
from dataset_tools.vocals.evidence import VoiceEvidence
from dmm.embedders import TextEmbedder, embed_and_classify
from dmm.registry import load_text_embedder
from dmm.sound.loudness import loudness_lufs

SR = 22050
WITHIN = 0.04
"""Largest relative error of a tempo that is right."""
HEADER = (
    "| date | commit | machine | music | described by | pieces | first seed "
    "| instruments: precision | recall | in captions: precision | recall "
    "| tempo right | octave wrong | key exact | relative | x real time |\n" + "|---" * 16 + "|"
)


@dataclass(frozen=True)
class Piece:
    """A rendered piece and the truth about it."""

    sound: Float[np.ndarray, " samples"]
    truth: dict[str, Any]


def render(count: int, seed: int, soundfont: Path | None) -> list[Piece]:
    """Render pieces of MiniMIDI's base styles."""
    request = SourceRequest(count=count, seed=seed, soundfont=soundfont)
    found = tracks(request)
    return [Piece(track.load(SR, 1)[0], track.truth) for track in found]  # pyright: ignore


def measure(embedder: TextEmbedder, pieces: Sequence[Piece]) -> tuple[list[TrackSound], float]:
    """Measurements of every piece, and how many seconds of music a CPU second takes."""
    embedder.embed_sounds(pieces[0].sound[None], SR)  # loads what is loaded once
    found, start = [], time.process_time()
    for piece in pieces:
        mono = piece.sound[None]
        facts = [measure_sound_facts(piece.sound, SR)]
        (row,), attributes = embed_and_classify(embedder, mono, SR)
        found.append(TrackSound(facts, loudness_lufs(mono, SR), row, attributes))
    music_s = sum(len(piece.sound) for piece in pieces) / SR
    return found, music_s / (time.process_time() - start)


def terms_of(names: Sequence[str], lexicon: Lexicon) -> set[str]:
    """Instruments of the lexicon that MiniMIDI's names mean."""
    found = [term for name in names for term in lexicon.find_mentions(name)]
    return {term.value for term in found if term.facet == "instrument"}


def fits(name: str, true: str) -> bool:
    """Whether an instrument is the true one, or a more general term for it."""
    return name == true or is_kind_of(("instrument", true), ("instrument", name))


def counts(found: set[str], true: set[str]) -> tuple[int, int, int, int]:
    """Right and all terms found, found and all true terms."""
    right = sum(any(fits(name, t) for t in true) for name in found)
    recalled = sum(any(fits(name, t) for name in found) for t in true)
    return right, len(found), recalled, len(true)


def tempo_of(description: Description, truth: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the tempo is right, and whether it is half or twice the right one."""
    if description.tempo_bpm is None:
        return False, False
    ratio = description.tempo_bpm / truth["tempo_bpm"]
    return abs(ratio - 1) <= WITHIN, any(abs(ratio * k - 1) <= WITHIN for k in (0.5, 2))


def key_of(description: Description, truth: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the key is right, and whether it is the relative major or minor."""
    tonic, mode = (description.key or " ").split(" ")
    is_exact = (tonic, mode) == (truth["key"], truth["mode"])
    if not mode or mode == truth["mode"]:
        return is_exact, False
    steps = (PITCH_CLASSES.index(tonic) - PITCH_CLASSES.index(truth["key"])) % 12
    return is_exact, steps == (9 if truth["mode"] == "major" else 3)


def share(values: Sequence[tuple[float, float]]) -> str:
    """Sum of the first numbers over that of the second, with its interval."""
    numbers = np.array(values, float)
    picks = np.random.default_rng(0).integers(len(numbers), size=(1000, len(numbers)))
    sums = numbers[picks].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / np.maximum(sums[:, 1], 1), (0.025, 0.975))
    total = numbers.sum(axis=0)
    return f"{total[0] / max(total[1], 1):.3f} ({low:.2f}-{high:.2f})"


def row(embedder: TextEmbedder, pieces: Sequence[Piece], sounds: Sequence[TrackSound]) -> list[str]:
    """The cells from instruments to key."""
    lexicon = load_lexicon()
    descriptions = describe_tracks(embedder, sounds, lexicon)
    no_words = [VoiceEvidence(()) for _ in pieces]
    facets = facet_probabilities(no_words, lexicon, [d.votes for d in descriptions])
    voted, captioned, tempos, keys = [], [], [], []
    for piece, description, own in zip(pieces, descriptions, facets, strict=True):
        kit = [piece.truth["drums"]] if piece.truth["drums"] else []
        true = terms_of([*piece.truth["instruments"], *kit], lexicon)
        voted.append(counts(set(description.origins.get("instrument", {})), true))
        captioned.append(counts(terms_of([compose_caption(own)], lexicon), true))
        tempos.append(tempo_of(description, piece.truth))
        keys.append(key_of(description, piece.truth))
    instruments = [
        share([(c[i], c[i + 1]) for c in found]) for found in (voted, captioned) for i in (0, 2)
    ]
    others = [share([(flags[i], 1) for flags in found]) for found in (tempos, keys) for i in (0, 1)]
    return [*instruments, *others]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--soundfont", type=Path, help="a General MIDI SoundFont, .sf2")
    parser.add_argument("--count", type=int, default=300, help="pieces of each kind")
    parser.add_argument("--seed", type=int, default=7_200_000, help="seed of the first piece")
    arguments = parser.parse_args()
    embedder = load_text_embedder("nano-clap")
    kinds = {"MiniMIDI": None}
    if arguments.soundfont:
        kinds[f"MiniMIDI by {arguments.soundfont.stem}"] = arguments.soundfont
    print(HEADER)
    for music, soundfont in kinds.items():
        pieces = render(arguments.count, arguments.seed, soundfont)
        with_classifiers, speed = measure(embedder, pieces)
        words = [TrackSound(s.facts, s.loudness_lufs, s.embedding) for s in with_classifiers]
        for name, sounds in (("words", words), ("classifiers", with_classifiers)):
            cells = (*provenance("1 thread"), music, f"nano-clap, {name}", len(pieces))
            cells = (*cells, arguments.seed, *row(embedder, pieces, sounds), f"{speed:.0f}")
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
