"""Purity of instrumental music by evidence: ``python benchmarks/vocal_gate.py CSV [--tags TSV]``.

CSV is the caption table of Song Describer, TSV a table of MTG-Jamendo's tags such as
``data/splits/split-0/autotagging-test.tsv`` of github.com/MTG/mtg-jamendo-dataset. Prints the
Markdown tables of ``docs/vocals.md``. The tracks have no manual labels; each table states which
evidence is used as the truth.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np

from dataset_tools.vocals.evidence import VoiceEvidence
from dataset_tools.vocals.gate import LOW, VOICED, Verdicts, judge_tracks, place_track
from dataset_tools.vocals.report import PurityRow, purity_and_recall, purity_table_markdown
from dataset_tools.vocals.voice_mentions import mentions_voice, says_instrumental

SEED, WINDOWS, DRAWS = 0, 23, 20
RIGHT = 0.9
"""Sensitivity and specificity of the simulated classifier on whole tracks."""


def captions_of(path: Path) -> dict[str, list[str]]:
    """Captions of every track, in the order of the table."""
    tracks = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            tracks[row["track_id"]].append(row["caption"])
    return dict(tracks)


def tags_of(path: Path | None) -> dict[str, tuple[str, ...]]:
    """MTG-Jamendo's tags by track number; empty without a table."""
    if path is None:
        return {}
    lines = path.read_text("utf-8").splitlines()[1:]
    cells = [line.split("\t") for line in lines]
    return {str(int(row[0].removeprefix("track_"))): tuple(row[5:]) for row in cells}


def print_learnt(verdicts: Verdicts) -> None:
    """Print coverage and accuracy of each labelling function."""
    print(f"\nLearnt share of vocal tracks: {100 * verdicts.balance:.1f} %.\n")
    print("| function | votes on | votes right | says it of vocal | of instrumental |")
    print("|---|---|---|---|---|")
    for f in verdicts.functions:
        if f.coverage:
            says = 2 if f.vocal[2] > f.vocal[0] + f.instrumental[0] else 0
            cells = (f.coverage, f.accuracy, f.vocal[says], f.instrumental[says])
            print(
                f"| {f.name.replace('_', ' ')} | "
                + " | ".join(f"{100 * x:.1f} %" for x in cells)
                + " |"
            )


def print_places(verdicts: Verdicts) -> None:
    """Print the number of tracks in each place."""
    places = [place_track(p, "out") for p in verdicts.probabilities]
    print(
        "\nTrain {}, reg {}, unsure {}.".format(*(places.count(x) for x in ("train", "reg", "out")))
    )


def rule_row(name: str, kept: list[bool], voice: list[float]) -> PurityRow:
    """Purity and recall of a rule on captions, without the label model."""
    none = 1 - np.array(voice)
    chosen = np.array(kept)
    pure = none[chosen].sum()
    return PurityRow(name, 1.0, chosen.mean(), pure / chosen.sum(), pure / none.sum())


def simulated(voice: bool, rng: np.random.Generator) -> tuple[float, ...]:
    """Window scores of a simulated classifier that is wrong about one track in ten."""
    heard_as = voice if rng.random() < RIGHT else not voice
    voiced = rng.random(WINDOWS) < VOICED * heard_as
    return tuple(np.where(voiced, rng.beta(8, 2, WINDOWS), rng.beta(2, 8, WINDOWS)).tolist())


def held_out(tracks: dict[str, list[str]], tags: dict[str, tuple[str, ...]]) -> list[PurityRow]:
    """Use each caption of a track as its only one; a voice in any of its captions is the truth."""
    several = {track: captions for track, captions in tracks.items() if len(captions) > 1}
    truth = {track: any(map(mentions_voice, captions)) for track, captions in several.items()}
    pairs = [(track, caption) for track, captions in several.items() for caption in captions]
    voice = [truth[track] for track, _ in pairs]
    rows = [
        rule_row(
            "caption mentions no voice",
            [not mentions_voice(c) for _, c in pairs],
            [*map(float, voice)],
        ),
        rule_row(
            "caption says instrumental",
            [says_instrumental(c) for _, c in pairs],
            [*map(float, voice)],
        ),
    ]
    alone = judge_tracks([VoiceEvidence((caption,)) for _, caption in pairs])
    rows.append(_gate("gate: caption", alone, voice))
    if tags:
        tagged = judge_tracks([VoiceEvidence((c,), tags.get(t, ())) for t, c in pairs])
        rows.append(_gate("gate: caption, tags", tagged, voice))
    for name, with_words in (
        ("gate: classifier", False),
        ("gate: caption, tags, classifier", True),
    ):
        drawn = []
        for draw in range(DRAWS):
            rng = np.random.default_rng([SEED, draw])
            scores = {track: simulated(truth[track], rng) for track in several}
            evidence = [
                VoiceEvidence((c,), tags.get(t, ()), window_probabilities=scores[t])
                if with_words
                else VoiceEvidence((), window_probabilities=scores[t])
                for t, c in pairs
            ]
            drawn.append(_gate(name, judge_tracks(evidence), voice))
        shares = np.array([[r.coverage, r.kept, r.purity, r.recall] for r in drawn]).mean(axis=0)
        rows.append(PurityRow(name, *shares.tolist()))
    return rows


def _gate(name: str, verdicts: Verdicts, voice: list[bool]) -> PurityRow:
    row = purity_and_recall(verdicts.votes, verdicts.probabilities, voice)[-1]
    return PurityRow(name, row.coverage, row.kept, row.purity, row.recall)


def single_captions(tracks: dict[str, list[str]], verdicts: Verdicts) -> list[PurityRow]:
    """Caption rules on tracks with one caption; the label model's probability is the truth."""
    single = [
        (captions[0], p)
        for captions, p in zip(tracks.values(), verdicts.probabilities, strict=True)
        if len(captions) == 1
    ]
    voice = [p for _, p in single]
    return [
        rule_row("caption mentions no voice", [not mentions_voice(c) for c, _ in single], voice),
        rule_row("caption says instrumental", [says_instrumental(c) for c, _ in single], voice),
        rule_row("gate", [p <= LOW for p in voice], voice),
    ]


def by_hand(tracks: dict[str, list[str]]) -> str:
    """Purity of single captions without a voice, from counts alone, without the label model."""
    several = [captions for captions in tracks.values() if len(captions) > 1]
    single = [captions[0] for captions in tracks.values() if len(captions) == 1]
    vocal = [
        (mentions_voice(c), any(mentions_voice(o) for j, o in enumerate(cs) if j != i))
        for cs in several
        for i, c in enumerate(cs)
    ]
    silent = sum(other and not own for own, other in vocal) / sum(other for _, other in vocal)
    mentioned = sum(map(mentions_voice, single))
    hidden = mentioned * silent / (1 - silent)
    kept = len(single) - mentioned
    return (
        f"A caption of a track whose other captions mention a voice is silent in "
        f"{100 * silent:.1f} % of cases. Of {len(single)} single captions {mentioned} mention a "
        f"voice, so about {hidden:.0f} of the {kept} silent ones hide one: "
        f"purity {100 * (1 - hidden / kept):.1f} %."
    )


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--tags", type=Path)
    args = parser.parse_args()
    tracks, tags = captions_of(args.csv), tags_of(args.tags)
    evidence = {
        "captions": [VoiceEvidence(tuple(captions)) for captions in tracks.values()],
        "captions and tags": [VoiceEvidence(tuple(c), tags.get(t, ())) for t, c in tracks.items()],
    }
    for name, known in evidence.items():
        if name == "captions" or tags:
            verdicts = judge_tracks(known)
            print(f"\n### All {len(tracks)} tracks, {name}")
            print_learnt(verdicts)
            print_places(verdicts)
            print(
                "\n"
                + purity_table_markdown(purity_and_recall(verdicts.votes, verdicts.probabilities))
            )
            print(f"\n### Single captions, {name}; the label model's estimates\n")
            print(purity_table_markdown(single_captions(tracks, verdicts)))
    print("\n### Single captions, by counting\n\n" + by_hand(tracks))
    print("\n### One caption shown, any caption is the reference\n")
    print(purity_table_markdown(held_out(tracks, tags)))


if __name__ == "__main__":
    main()
