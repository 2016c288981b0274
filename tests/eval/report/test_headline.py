import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dmm.registry import load_embedder
from eval.report.headline import headline
from eval.report.report import write_report

BETTER = {"better": True, "sure": True}
UNSURE, UNKNOWN, FAD = {"better": True, "sure": False}, {"better": True, "sure": None}, "fad"
WORSE = {"better": False, "sure": True}


def report_of(n=36, tracks=9, void=(), second=None, **moved):
    sets = {"clips": {"n": n}, "real": {"n": 40, "tracks": tracks}}
    second = second and {"embedder": {"name": "mel-stats"}, "moved": second}
    baseline = {"moved": moved} if moved else None
    return {
        "embedder": {"name": "nano-clap"}, "sets": sets, "baseline": baseline, "second": second,
        "void": void,
    }  # fmt: skip


def test_it_names_the_embedder_and_counts_the_clips():
    made = report_of(diversity=BETTER, fad=UNKNOWN, cosine=UNSURE, kad=WORSE)
    assert headline(made) == (
        "3 of 3 main scores of 36 clips moved the right way by nano-clap (1 not significantly)"
    )
    assert headline(report_of()) == "36 clips compared with 40 real ones of 9 tracks by nano-clap"


@pytest.mark.parametrize(
    ("n", "tracks", "lacking"),
    [
        (29, 5, "29 clips, and 30 are needed"),
        (30, 4, "real clips of 4 tracks, and 5 are needed"),
        (2, 1, "2 clips, and 30 are needed; real clips of 1 track, and 5 are needed"),
    ],
)
def test_few_clips_or_tracks_are_not_enough_to_say(n, tracks, lacking):
    made = report_of(n, tracks, fad=BETTER)
    assert headline(made) == f"Not enough to say by nano-clap: {lacking}"


def test_a_void_score_does_not_count():
    made = report_of(void=["clap_score", "retrieval"], clap_score=BETTER, fad=WORSE)
    assert headline(made).startswith("0 of 1 main scores")


def test_disagreement_of_two_embedders_is_the_headline():
    made = report_of(diversity=BETTER, fad=UNKNOWN, second={"diversity": BETTER, "fad": WORSE})
    assert headline(made) == (
        "nano-clap and mel-stats disagree on FAD: 2 of 2 main scores of 36 clips moved the right "
        "way by nano-clap, 1 of 2 by mel-stats"
    )


def test_a_change_that_is_not_significant_contradicts_nothing():
    made = report_of(diversity=UNSURE, second={"diversity": WORSE})
    assert "disagree" not in headline(made)


@pytest.fixture
def one_song(dataset):
    """The dataset's test split as pieces of one song."""
    ids = [path.stem for path in dataset.glob("test/*.flac")]
    columns = {"id": ids, "track": ["song"] * len(ids)}
    columns |= dict.fromkeys(("caption", "truth", "augmentation"), [None] * len(ids))
    pq.write_table(pa.table(columns), dataset / "manifest.parquet")
    return dataset


def test_variety_is_not_judged_by_the_clips_of_one_song(
    clips, write_clips, tmp_path, pulses, one_song, reader
):
    before = write_clips(tmp_path / "before", [pulses(9, seed) for seed in range(6)])
    made = write_report(clips, one_song, tmp_path / "out", reader, before)
    moved = made["baseline"]["moved"]
    assert {name for name, own in moved.items() if own["better"] is None} >= {"diversity", "cosine"}
    assert moved["fad"]["better"] and made["sets"]["real"]["tracks"] == 1
    assert "the right way" not in made["summary"]["scores"]["diversity"]


def test_prompts_without_a_known_word_void_the_scores_of_words(
    clips, dataset, tmp_path, reader, monkeypatch
):
    def embed_text(self, texts):
        return np.eye(1, self.dim, dtype=np.float32).repeat(len(texts), 0)

    monkeypatch.setattr(type(reader), "embed_text", embed_text)
    before = shutil.copytree(clips, tmp_path / "before")
    made = write_report(clips, dataset, tmp_path / "out", reader, before)
    assert made["void"] == ["clap_score", "retrieval"]


def test_a_second_embedder_scores_the_same_clips(clips, dataset, tmp_path, reader):
    second = load_embedder("mel-stats")
    made = write_report(clips, dataset, tmp_path / "out", reader, clips, second=second)
    assert made["second"]["embedder"]["name"] == "mel-stats"
    same = [made[key]["fad"]["value"] for key in ("scores",)]
    assert made["second"]["scores"]["fad"]["value"] == pytest.approx(same[0])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "by another embedder" in page
    assert page.count("<td>none</td>") == 3  # clips compared with themselves
    assert json.loads((tmp_path / "out" / "report.json").read_text("utf-8")) == made
