from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints.lora import LATENTS, check_lora, clip_skip
from dmm.checkpoints.lora_layers import lora_layers
from dmm.errors import ModelError
from dmm.pretraining.nano import NANO

MODELS = Path(__file__).parents[3] / "models" / "nano"
MUSIC_BOX = MODELS / "music-box-lora.safetensors"
QUERY = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_q"


@pytest.fixture
def lora(tmp_path):
    """``lora(layer, taken, given)``: a LoRA of one layer, made on ``base.safetensors``."""

    def write(layer: str, taken: int, given: int) -> Path:
        tensors = {
            f"{layer}.lora_down.weight": torch.zeros(2, taken),
            f"{layer}.lora_up.weight": torch.zeros(given, 2),
            f"{layer}.alpha": torch.tensor(1.0),
        }
        save_file(tensors, tmp_path / "a.safetensors", {"ss_sd_model_name": "base.safetensors"})
        return tmp_path / "a.safetensors"

    return write


def test_the_embedded_lora_with_convolutions_fits_the_base_it_was_trained_on():
    check_lora(MUSIC_BOX, MODELS / "nano.safetensors")
    assert {key.split(".")[0] for key in load_file(MUSIC_BOX)} <= lora_layers(NANO).keys()


@pytest.mark.parametrize(("theirs", "ours"), [({}, "b"), ({"dmm_latents": "a"}, "b")])
def test_a_lora_of_other_latents_is_refused_by_name(
    tiny_checkpoint, random_lora, tmp_path, theirs, ours
):
    base = tmp_path / "base.safetensors"
    save_file(load_file(tiny_checkpoint), base, {LATENTS: ours})
    check_lora(random_lora(tmp_path / "new.safetensors", base, dmm_latents=ours), base)
    old = random_lora(tmp_path / "old.safetensors", base, **theirs)
    stated = theirs.get(LATENTS, "none stated")
    with pytest.raises(ModelError, match=rf"old\.safetensors: .*other latents .*{stated}, not b"):
        check_lora(old, base)


def test_a_lora_of_other_latents_is_refused_by_a_base_that_states_none(
    tiny_checkpoint, random_lora, tmp_path
):
    lora = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint, dmm_latents="a")
    with pytest.raises(ModelError, match="a, not none stated"):
        check_lora(lora, tiny_checkpoint)


def test_a_lora_of_another_architecture_is_refused_with_the_base_it_names(tiny_sd15, lora):
    with pytest.raises(
        ModelError, match=r"trained on nano\.safetensors, .* SD 1\.5 and has no lora_"
    ):
        check_lora(MUSIC_BOX, tiny_sd15)
    with pytest.raises(
        ModelError, match=r"trained on base\.safetensors, .* SDXL and has no lora_te_"
    ):
        check_lora(lora("lora_te_text_model_encoder_layers_0_mlp_fc1", 64, 96),
                   MODELS / "nano.safetensors")  # fmt: skip


def test_a_lora_of_other_widths_is_refused_with_both(tiny_sd15, lora):
    check_lora(lora(QUERY, 64, 64), tiny_sd15)
    with pytest.raises(ModelError, match=f"where {QUERY} is 64×64, not 640×640"):
        check_lora(lora(QUERY, 640, 640), tiny_sd15)


def test_sizes_are_what_a_layer_takes_and_gives(tiny_sd15_shapes):
    sizes = {layer: place.size for layer, place in lora_layers(tiny_sd15_shapes).items()}
    assert sizes["lora_te_text_model_encoder_layers_2_mlp_fc1"] == (96, 64)
    assert sizes["lora_unet_up_blocks_3_resnets_0_conv1"] == (32, 96, 3, 3)
    assert sizes["lora_unet_mid_block_attentions_0_proj_in"] == (96, 96, 1, 1)


def test_sdxl_layers_are_known_by_either_name():
    layers = lora_layers(NANO)
    theirs, ours = "input_blocks_4_1_proj_in", "down_blocks_1_attentions_0_proj_in"
    assert layers["lora_unet_" + theirs] == layers["lora_unet_" + ours]
    assert layers["lora_unet_" + ours].size == (64, 64)


def test_a_checkpoint_is_no_lora(tiny_sd15):
    with pytest.raises(ModelError, match="not a LoRA"):
        check_lora(tiny_sd15, tiny_sd15)


@pytest.mark.parametrize(
    ("metadata", "layer"),
    [
        ({}, None),
        ({"ss_clip_skip": "None"}, None),
        ({"ss_clip_skip": "1"}, None),
        ({"ss_clip_skip": "2"}, 2),
        ({"dmm_clip_skip": "3", "ss_clip_skip": "None"}, 3),
    ],
)
def test_clip_skip_is_the_loras_own_and_of_sd15_alone(tiny_sd15_shapes, metadata, layer):
    assert clip_skip(metadata, tiny_sd15_shapes) == layer
    assert clip_skip(metadata, NANO) is None
