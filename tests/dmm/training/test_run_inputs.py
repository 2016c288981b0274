"""What the engine is given for a run: its configuration, the val split, the LoRA's metadata."""

import json
import tomllib

import pytest
from safetensors.torch import load_file, save_file

from dmm.checkpoints.header import read_metadata
from dmm.checkpoints.lora import LATENTS
from dmm.training.run_inputs import (
    dataset_config,
    lora_metadata,
    read_inputs,
    run_record,
    write_engine_files,
)


@pytest.fixture
def read(dataset, tiny_checkpoint):
    return lambda *settings: read_inputs("nano-cpu", dataset, tiny_checkpoint, settings)


def test_the_val_split_is_validated_whole_with_the_anchor_and_unshuffled(read, dataset):
    training, validation = dataset_config(read())["datasets"]
    assert training["subsets"][0]["image_dir"] == str(dataset / "train")
    (subset,) = validation["subsets"]
    assert subset["image_dir"] == str(dataset / "val") and not subset["shuffle_caption"]
    assert subset["caption_prefix"] == "mel music |||" and validation["validation_split"] == 1.0


def test_the_engine_gets_all_that_the_preset_leaves_to_dataset_and_base(read, dataset, tmp_path):
    out, state = tmp_path / "run", tmp_path / "state"
    given = write_engine_files(
        read("max_train_epochs=4", "max_train_steps="), out, "tunes", state, None
    )
    assert given == tomllib.loads((out / "engine.toml").read_text())
    assert (given["anchor"], given["output_name"]) == ("mel music", "tunes")
    assert given["preview_reference"] == str(dataset / "val")
    assert given["v_parameterization"] and given["resume"] == str(state)
    assert given["max_train_steps"] == 4 and "max_train_epochs" not in given  # an epoch is a step


def test_an_epoch_of_two_processes_has_half_the_steps(read, tmp_path):
    words = ("max_train_epochs=5", "max_train_steps=", "train_batch_size=1")
    steps = [
        write_engine_files(read(*words), tmp_path, "lora", None, None, count)["max_train_steps"]
        for count in (1, 2)
    ]
    assert steps == [5 * 3, 5 * 2]


def test_a_lora_says_how_its_images_decode(read, dataset):
    found = dict(pair.split("=", 1) for pair in lora_metadata(read()))
    assert (found["dmm_format"], found["dmm_anchor"]) == ("nano", "mel music")
    assert found["dmm_architecture"] == "sdxl" and found["dmm_prediction_type"] == "v_prediction"
    assert json.loads(found["dmm_format_parameters"])["name"] == "nano"
    assert "dmm_clip_skip" not in found


def test_a_lora_states_the_latents_of_its_base(dataset, tiny_checkpoint, tmp_path):
    base = tmp_path / "base.safetensors"
    save_file(load_file(tiny_checkpoint), base, {**read_metadata(tiny_checkpoint), LATENTS: "a1"})
    found = [lora_metadata(read_inputs("nano-cpu", dataset, at)) for at in (base, tiny_checkpoint)]
    assert [f"{LATENTS}=a1" in words for words in found] == [True, False]


def test_a_lora_and_its_run_name_the_same_dataset(read):
    found = dict(pair.split("=", 1) for pair in lora_metadata(read()))
    assert found["dmm_dataset_sha256"] == run_record(read(), {})["dataset_sha256"]


@pytest.mark.parametrize(
    ("settings", "huber"),
    [
        ([], "0.15 to 0.05 over training (linear)"),
        (["huber_over=timestep", "huber_schedule=snr"], "0.15 to 0.05 over timesteps (snr)"),
        (["huber_schedule=exponential"], "0.15 to 0.05 over training (linear), times exponential"),
        (["loss_type=l2"], None),
        (["huber_start="], None),
    ],
)
def test_a_lora_says_which_threshold_it_was_trained_by(read, settings, huber):
    found = dict(pair.split("=", 1) for pair in lora_metadata(read(*settings)))
    assert found.get("dmm_huber") == huber
