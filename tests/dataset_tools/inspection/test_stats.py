"""Statistics of a dataset, and their page."""

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from dataset_tools.commands.stats import stats
from dataset_tools.inspection.stats import (
    column_distribution,
    count_tracks_by_facet,
    dataset_statistics,
)
from dataset_tools.inspection.stats_page import HEIGHT, WIDTH, histogram_bars, render_page
from dmm.errors import InputError

app = typer.Typer()
app.command()(stats)


def test_clips_hours_and_tracks_are_counted_by_split(dataset):
    facts = dataset_statistics(dataset)
    assert facts["clips"] == {"train": 4, "reg": 2, "val": 1, "test": 1}
    assert facts["tracks_of"] == facts["artists_of"] == {"train": 3, "reg": 2, "val": 1, "test": 1}
    assert facts["hours"]["train"] == pytest.approx(4 * 5.12 / 3600, abs=1e-4)
    assert facts["augmented"] == 1 and facts["licences"] == {"CC BY 4.0": 8}


def test_evidence_counts_tracks_by_vote(dataset):
    assert dataset_statistics(dataset)["evidence"] == {
        "own caption": {"vocal": 2, "instrumental": 5, "no opinion": 0},
        "tags": {"vocal": 0, "instrumental": 0, "no opinion": 7},
    }


def test_refusals_are_counted_by_kind(dataset):
    reasons = ("silent: -70 dB", "silent: -80 dB", "too short: 1 s")
    lines = [json.dumps({"input": "x", "reason": reason}) + "\n" for reason in reasons]
    (dataset / "rejected.jsonl").write_text("".join(lines))
    assert dataset_statistics(dataset)["rejected"] == {"silent": 2, "too short": 1}


def test_facets_count_each_track_once_and_only_likely_values(row):
    rows = [row(1, "train", id=f"a-{n}") for n in range(5)] + [row(2, "test")]
    rows.append(row(3, "train", facets=json.dumps({"instrument": {"oud": 0.5}})))
    assert count_tracks_by_facet(rows) == {
        "instrument": {"piano": 2, "oud": 1},
        "tempo": {"slow": 2},
    }


def test_a_histogram_holds_every_value_once(row, rng):
    values = rng.normal(-14, 3, 500)
    rows = [row(n, "train" if n % 3 else "val", loudness_lufs=v) for n, v in enumerate(values)]
    found = column_distribution([*rows, row(0, "val", loudness_lufs=None)], "loudness_lufs")
    assert (
        found and found["missing"] == 1 and found["p50"] == pytest.approx(np.median(values), 1e-3)
    )
    assert {s: sum(counts) for s, counts in found["counts"].items()} == {"train": 333, "val": 167}


@pytest.mark.parametrize(("least", "most"), [(12, 12), (3, 9), (5, 77), (1, 500)])
def test_bins_of_whole_numbers_hold_equally_many_of_them(row, least, most):
    rows = [row(n, "train", tokens=n) for n in range(least, most + 1)]
    found = column_distribution(rows, "tokens")
    assert found and sum(found["counts"]["train"]) == len(rows)
    assert len(set(found["counts"]["train"][:-1]) - {0}) <= 1


def test_a_column_without_values_has_no_distribution(row):
    assert column_distribution([row(1, "train", silence=None)], "silence") is None


def test_bars_start_at_the_bottom_and_the_highest_has_full_height():
    drawn = histogram_bars({"edges": [0.0, 1.0, 2.0], "counts": {"train": [3, 1], "test": [1, 1]}})
    first = [bar for bar in drawn if bar.x == 0]
    assert [(b.split, b.height) for b in first] == [("train", 60.0), ("test", 20.0)]
    assert first[0].y + first[0].height == HEIGHT and first[1].y == 0
    assert all(bar.x + bar.width < WIDTH for bar in drawn)


def test_the_page_loads_nothing_and_escapes_text(rewrite):
    page = render_page(dataset_statistics(rewrite(0, licence="<script>alert(1)</script>")))
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "http" not in page and "src=" not in page and "url(" not in page


def test_the_command_prints_tables_json_and_a_page(dataset, tmp_path):
    page = tmp_path / "stats.html"
    printed = CliRunner().invoke(app, [str(dataset), "--html", str(page)]).stdout
    assert "train" in printed and "CC BY 4.0 8" in printed and "Loudness, LUFS" in printed
    assert page.read_text().startswith("<!doctype html>")
    facts = json.loads(CliRunner().invoke(app, [str(dataset), "--json"]).stdout)
    assert facts == dataset_statistics(dataset)


def test_an_unfinished_dataset_names_the_command_to_run(dataset):
    (dataset / "dataset.json").unlink()
    with pytest.raises(InputError, match="run `dmm data build`"):
        dataset_statistics(dataset)
