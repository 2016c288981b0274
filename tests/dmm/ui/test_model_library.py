import shutil

import pytest
import torch
from safetensors.torch import save_file

from dmm.errors import ModelError
from dmm.ui.model_library import find_models

LAYER = "lora_te_text_model_encoder_layers_0_mlp_fc1"


@pytest.fixture
def folder(tiny_checkpoint, tiny_sd15, tmp_path):
    """Two checkpoints, a LoRA of the second in a run, and what is neither."""
    for name, source in (("big", tiny_checkpoint), ("small", tiny_sd15)):
        shutil.copyfile(source, tmp_path / f"{name}.safetensors")
    for place in ("runs/jazz", "runs/jazz/state/step-1", ".cache"):
        (tmp_path / place).mkdir(parents=True)
        tensors = {
            f"{LAYER}.lora_down.weight": torch.zeros(2, 64),
            f"{LAYER}.lora_up.weight": torch.zeros(96, 2),
        }
        save_file(tensors, tmp_path / place / "lora.safetensors", {"dmm_anchor": "mel"})
    save_file({"w": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    return tmp_path


def test_a_folder_lists_its_checkpoints_and_their_loras(folder):
    found = find_models([folder])
    models = {model.label: model for model in found.models.values()}
    assert models.keys() == {"big", "small"} and models["big"].kind == "SDXL"
    (name,) = found.loras
    assert found.loras[name].label == "runs/jazz/lora" and found.loras[name].anchor == "mel"
    assert models["small"].loras == (name,) and models["big"].loras == ()
    assert models["small"].format == "nano"


def test_a_file_that_is_named_must_be_a_model(folder):
    with pytest.raises(ModelError, match=r"other\.safetensors"):
        find_models([folder / "small.safetensors", folder / "other.safetensors"])


def test_no_checkpoint_is_an_error(folder):
    with pytest.raises(ModelError, match=r"no SD 1\.5 or SDXL checkpoint in .*jazz"):
        find_models([folder / "runs" / "jazz"])
