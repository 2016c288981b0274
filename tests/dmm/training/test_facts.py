import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toml
from PIL import Image

from dmm.errors import InputError, ModelError
from dmm.training.facts import DatasetFacts, gather_facts, png_size, read_dataset_facts
from dmm.training.launcher import change_dataset_config

CONFIG = {
    "general": {"shuffle_caption": True, "flip_aug": False},
    "datasets": [
        {
            "resolution": [64, 32],
            "enable_bucket": False,
            "subsets": [
                {"image_dir": "train", "num_repeats": 3},
                {"image_dir": "reg", "num_repeats": 2, "is_reg": True},
            ],
        }
    ],
}
AS_IT_IS = {
    "dataset_repeats": None,
    "dataset_regularisation": True,
    "dataset_bucketing": None,
    "dataset_shuffle": None,
}


@pytest.fixture
def dataset(tmp_path):
    """Two training clips, one for regularisation and one for validation, of 64 x 32 pixels."""
    for name in ("train/a", "train/b", "reg/c", "val/d"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((32, 64), np.uint8)).save(path)
    (tmp_path / "dataset.json").write_text(json.dumps({"format": {"name": "nano"}}))
    (tmp_path / "dataset.toml").write_text(toml.dumps(CONFIG))
    columns = {"split": ["train", "train", "reg", "val"], "tokens": [10, 90, 12, 99]}
    pq.write_table(pa.table(columns), tmp_path / "manifest.parquet")
    return tmp_path


def test_facts_of_a_dataset_come_from_headers_and_tables(dataset):
    assert read_dataset_facts(dataset) == DatasetFacts(
        n_train=2,
        n_reg=1,
        n_val=1,
        repeats=3,
        reg_repeats=2,
        format="nano",
        resolution=(64, 32),
        sizes=frozenset({(64, 32)}),
        tokens=(10, 90, 12),
        stated={
            "shuffle_caption": True,
            "flip_aug": False,
            "resolution": [64, 32],
            "enable_bucket": False,
            "dataset_repeats": 2,
        },
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("dataset.toml", "[[datasets]", "dataset.toml: damaged"),
        ("dataset.toml", "[general]", "not as dmm data build writes it .'datasets'"),
        ("dataset.json", "{", "dataset.json: damaged"),
        ("manifest.parquet", "x", "manifest.parquet: damaged"),
        ("train/a.png", "GIF", "a.png: not a PNG"),
    ],
)
def test_a_damaged_dataset_is_reported_in_one_line(dataset, name, content, message):
    (dataset / name).write_text(content)
    with pytest.raises(InputError, match=message) as found:
        read_dataset_facts(dataset)
    assert "\n" not in str(found.value)


def test_a_folder_that_is_no_dataset_is_reported(tmp_path):
    with pytest.raises(InputError, match=r"not a dataset \(no dataset.json\)"):
        read_dataset_facts(tmp_path)


def test_a_size_is_width_and_height(dataset):
    assert png_size(dataset / "train" / "a.png") == (64, 32)


def test_all_facts_of_a_run_are_gathered(dataset, tiny_checkpoint, tmp_path):
    facts = gather_facts(dataset, tiny_checkpoint)
    assert facts.architecture == "sdxl" and facts.dataset == read_dataset_facts(dataset)
    assert facts.base is not None and facts.packages is not None
    assert (facts.base.prediction_type, facts.base.format, facts.base.width) == (
        "v_prediction",
        "nano",
        32,
    )
    with pytest.raises(ModelError, match="no such checkpoint"):
        gather_facts(dataset, tmp_path / "none.safetensors")


def test_without_settings_the_datasets_configuration_stays():
    assert change_dataset_config(CONFIG, AS_IT_IS) == CONFIG


def test_each_launcher_setting_changes_what_it_says_and_no_more():
    changed = change_dataset_config(
        CONFIG, {**AS_IT_IS, "dataset_repeats": 10, "dataset_shuffle": False}
    )
    train, reg = changed["datasets"][0]["subsets"]
    assert (train["num_repeats"], reg["num_repeats"]) == (10, 2)
    assert train["shuffle_caption"] is reg["shuffle_caption"] is False
    assert CONFIG["datasets"][0]["subsets"][0] == {"image_dir": "train", "num_repeats": 3}
    changed = change_dataset_config(
        CONFIG, {**AS_IT_IS, "dataset_regularisation": False, "dataset_bucketing": True}
    )
    assert changed["datasets"][0]["enable_bucket"] is True
    assert [s["image_dir"] for s in changed["datasets"][0]["subsets"]] == ["train"]
