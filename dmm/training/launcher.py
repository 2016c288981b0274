"""Settings that ``dmm train`` itself reads: they change the DATASET's configuration for a run.

A DATASET's ``dataset.toml`` overrides the engine's options of the same meaning. So these settings
change the copy of that file in the RUN folder.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from .engine_options import Option

LAUNCHER_OPTIONS = {
    "dataset_repeats": Option("int", owner="launcher"),
    "dataset_regularisation": Option("flag", default=True, owner="launcher"),
    "dataset_bucketing": Option("flag", owner="launcher"),
    "dataset_shuffle": Option("flag", owner="launcher"),
}
"""Unset, ``dataset.toml`` decides. The engine has a ``dataset_repeats`` too, which
``dataset.toml`` always overrides; here it takes effect."""

STATED_ELSEWHERE = {
    "pretrained_model_name_or_path": "--base",
    "dataset_config": "--dataset",
    "train_data_dir": "--dataset",
    "reg_data_dir": "--dataset",
    "conditioning_data_dir": "--dataset",
    "in_json": "--dataset",
    "output_dir": "--out",
    "output_name": "--name",
    "logging_dir": "--out",
    "resume": "--resume",
    "network_weights": "--from-weights",
    "dim_from_weights": "--from-weights",
    "anchor": "the dataset",
    "lora_metadata": "the dataset and the base",
    "tokenizer_cache_dir": "the base",
    "config_file": "dmm train, which writes it",
    "output_config": "dmm train --check, which shows it",
    "huggingface_token": "the variable HF_TOKEN, because RUN keeps every setting",
    "wandb_api_key": "the variable WANDB_API_KEY, because RUN keeps every setting",
}
"""Settings that cannot stand in a preset, and where they are given instead."""


def change_dataset_config(config: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a ``dataset.toml`` with the launcher's settings applied.

    ``settings`` has a value for every key of ``LAUNCHER_OPTIONS``. ``dataset_repeats`` sets how
    often each training clip occurs in an epoch; regularisation clips keep their number. Without
    ``dataset_regularisation`` their subsets are left out.
    """
    changed = deepcopy(dict(config))
    for dataset in changed["datasets"]:
        dataset |= _stated(enable_bucket=settings["dataset_bucketing"])
        dataset["subsets"] = [
            subset
            for subset in dataset["subsets"]
            if settings["dataset_regularisation"] or not subset.get("is_reg")
        ]
        for subset in dataset["subsets"]:
            subset |= _stated(shuffle_caption=settings["dataset_shuffle"])
            if not subset.get("is_reg"):
                subset |= _stated(num_repeats=settings["dataset_repeats"])
    return changed


def _stated(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
