import json
import math
import re
import shutil

import numpy as np
import pytest

from dmm.embedders import load_embedder
from eval.media import media
from eval.metrics import METRICS
from eval.report import write_report
from eval.words import headline, sentence


@pytest.fixture
def before(tmp_path, write_clips, pulses):
    return write_clips(tmp_path / "before", [pulses(9, seed) for seed in range(6)])


def report(clips, dataset, out, **options):
    return write_report(clips, dataset, out, load_embedder("mel-stats"), **options)


def numbers(value):
    """Every number in a nest of dicts and lists."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return [number for part in parts for number in numbers(part)]
    return [value] if isinstance(value, int | float) else []


def test_json_holds_finite_scores_of_every_metric_and_a_row_a_clip(clips, dataset, tmp_path):
    made = report(clips, dataset, tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert saved == made
    assert saved["metrics"].keys() == METRICS.keys()
    assert all(math.isfinite(number) for number in numbers(saved))
    assert [row["id"] for row in saved["per_clip"]] == [f"clip-{i}" for i in range(6)]
    assert (saved["n"], saved["n_reference"]) == (6, 8)
    assert saved["embedder"]["name"] == "mel-stats"


def test_page_plays_and_shows_every_clip_and_loads_nothing(clips, dataset, tmp_path):
    report(clips, dataset, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "http:" not in page
    assert "https:" not in page
    assert set(re.findall(r'(?:src|href)="([a-z]+:[a-z/]+)', page)) == {
        "data:audio/flac",
        "data:image/png",
    }
    assert page.count("<audio") == page.count("<img") == 6 + 4
    for path in clips.glob("*.flac"):
        assert media(path).audio in page


def test_prompts_cannot_inject_markup(clips, dataset, tmp_path):
    text = json.dumps({"prompt": "<script>alert(1)</script>", "seed": 0})
    (clips / "clip-0.json").write_text(text, encoding="utf-8")
    report(clips, dataset, tmp_path / "out")
    assert "<script>alert" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_baseline_is_matched_by_prompt_and_seed_and_moves_are_told(
    clips, before, dataset, tmp_path
):
    made = report(clips, dataset, tmp_path / "out", baseline=before)
    assert made["baseline"]["pairs"] == 6
    assert made["baseline"]["moved"]["kad"]["toward"]
    assert "scores moved toward the real clips" in headline(made)
    assert re.match(r"KAD fell from [\d.]+ to .*toward the real clips", sentence("kad", made))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<audio") == 6 + 6 + 4


def test_a_baseline_without_partners_is_still_compared(clips, before, dataset, tmp_path):
    for sidecar in before.glob("*.json"):
        sidecar.unlink()
    made = report(clips, dataset, tmp_path / "out", baseline=before)
    assert made["baseline"]["pairs"] == 0
    assert made["baseline"]["moved"]["cosine"]["low"] is None


def test_the_same_clips_as_baseline_have_not_moved(clips, dataset, tmp_path):
    made = report(clips, dataset, tmp_path / "out", baseline=clips)
    assert headline(made) == "None of the 4 scores moved toward the real clips"
    assert "stayed at" in sentence("fad", made)


def test_page_shows_no_more_clips_than_asked(clips, dataset, tmp_path):
    report(clips, dataset, tmp_path / "out", shown=2)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "2 of 6 shown" in page
    assert page.count("<audio") == 2 + 4


def test_a_page_too_heavy_shows_fewer_rows_but_one_of_each(clips, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("eval.page.PAGE_BYTES", 1)
    report(clips, dataset, tmp_path / "out")
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").count("<audio") == 2


def test_unfair_comparisons_are_told(clips, dataset, tmp_path, write_clips, tone):
    (clips / "bad.flac").write_bytes(b"this is no sound")
    shutil.copy(dataset / "test" / "clip-1.flac", clips / "copy.flac")
    write_clips(clips / "more", [np.zeros(11025, np.float32), tone(200)[:11025]] * 5)
    told = " ".join(report(clips, dataset, tmp_path / "out")["cautions"])
    for word in ("cannot be read: 1", "flatter: 1", "Silent: 5", "are of 0.50 s"):
        assert word in told


def test_same_input_gives_the_same_bytes(clips, dataset, tmp_path):
    for name in ("one", "two"):
        report(clips, dataset, tmp_path / name)
    for file in ("report.json", "report.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
