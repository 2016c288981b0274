import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dmm.checkpoints.published import PUBLISHED_BASES
from dmm.training.run_card.licences import (
    count_licences,
    licence_conditions,
    lora_licence,
)

SDXL, SD15 = PUBLISHED_BASES


@pytest.fixture
def dataset(tmp_path):
    """Two CC BY clips, one that regularises, and others that nothing is learnt from."""
    rows = [("CC BY 4.0", "train"), ("CC BY\n4.0", "train"), ("CC0-1.0", "reg"), (None, "train")]
    rows += [("CC BY-NC 4.0", "val"), ("CC BY-NC 4.0", "test"), ("  ", "reg")]
    columns = {"licence": [r[0] for r in rows], "split": [r[1] for r in rows]}
    pq.write_table(pa.table(columns), tmp_path / "manifest.parquet")
    return tmp_path


def test_clips_that_are_learnt_from_are_counted_by_licence(dataset):
    assert count_licences(dataset) == {"CC BY 4.0": 2, "unknown": 2, "CC0-1.0": 1}
    assert list(count_licences(dataset)) == ["CC BY 4.0", "unknown", "CC0-1.0"]


def test_a_folder_without_a_manifest_has_none(tmp_path):
    assert count_licences(tmp_path) == {}


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC0-1.0", []),
        ("https://creativecommons.org/licenses/by/3.0/", []),
        ("CC BY-NC-ND 4.0", ["no commercial use", "no derivatives"]),
        ("Attribution-ShareAlike 4.0", ["derivatives only under the same licence"]),
    ],
)
def test_what_a_licence_demands_is_read_from_its_name(licence, expected):
    assert licence_conditions(licence) == expected


def test_the_licence_is_the_bases_only_if_all_music_is_free():
    assert lora_licence(SDXL, {"CC0-1.0": 3}) == "openrail++"
    address = "https://creativecommons.org/publicdomain/zero/1.0/"
    assert lora_licence(SD15, {address: 3}) == "creativeml-openrail-m"
    assert lora_licence(SDXL, {"CC0-1.0": 3, "unknown": 1}) is None
    assert lora_licence("0" * 64, {"CC0-1.0": 3}) is None
    assert lora_licence(SDXL, {}) is None and lora_licence(None, {"CC0": 1}) is None
