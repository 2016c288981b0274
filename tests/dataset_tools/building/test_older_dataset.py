"""A small dataset that commit 850b165 built still loads, has no faults, and can be continued."""

import zipfile
from pathlib import Path

import pytest

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions
from dataset_tools.dataset import read_dataset
from dataset_tools.inspection.check import check_dataset
from dataset_tools.inspection.show import collect_clip_record
from dataset_tools.inspection.stats import dataset_statistics

OLDER = Path(__file__).parents[2] / "golden" / "850b165" / "dataset.zip"
OPTIONS = BuildOptions(
    format="nano",
    seed=1,
    max_silence=1.0,
    augment=("gain",),
    class_words="a song",
    vocal_classifier="none",
    licence="CC0-1.0",
)


ESTIMATES = ("facets", "vocal_probability", "vocal_evidence")
"""Columns that today's label model estimates anew from the same captions."""


def without_estimates(rows):
    return [{name: row[name] for name in row if name not in ESTIMATES} for row in rows]


@pytest.fixture
def older(tmp_path):
    """The unpacked dataset; its music is beside it."""
    with zipfile.ZipFile(OLDER) as packed:
        packed.extractall(tmp_path)
    return tmp_path / "dataset"


def test_an_older_dataset_has_no_faults(older):
    assert check_dataset(older) == []


def test_an_older_dataset_is_described(older):
    facts = dataset_statistics(older)
    assert facts["clips"] == {"train": 2, "reg": 1, "test": 1} and facts["augmented"] == 1
    shown = collect_clip_record(read_dataset(older), "song2")
    assert shown.prompt == "a song, folk song with male vocals, guitar"
    assert shown.evidence["own_caption_voice"] == 1


def test_an_older_build_continues_without_cutting_again(older, tree, monkeypatch):
    files, rows = tree(older), read_dataset(older).rows
    built = "dataset_tools.building"
    monkeypatch.setattr(f"{built}.build.cut_track", lambda job: pytest.fail(str(job)))
    monkeypatch.setattr(f"{built}.copies.write_track_copies", lambda job: pytest.fail(str(job)))
    build_dataset(older, OPTIONS, input=older.parent / "music", jobs=1)
    after = tree(older)
    assert without_estimates(read_dataset(older).rows) == without_estimates(rows)
    assert after.keys() == files.keys()
    changed = {name for name in files if after[name] != files[name]}
    assert changed <= {"manifest.parquet", "dataset.json"}  # may name other versions of libraries
