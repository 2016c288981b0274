import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.header import read_metadata
from dmm.checkpoints.lora_layers import trained_layers
from dmm.errors import InputError, ModelError
from dmm.fusing.fuse import fuse
from dmm.fusing.unfuse import Ranks, extract_lora
from dmm.fusing.weights import read_factors
from dmm.generation.loading import Lora

RESBLOCK = "model.diffusion_model.input_blocks.1.0."


@pytest.fixture(scope="module", params=["sdxl", "sd15"])
def fused(request, tiny_checkpoint, tiny_sd15, random_lora, tmp_path_factory):
    """A base, a LoRA of rank 4 and 2, and the two as one."""
    folder = tmp_path_factory.mktemp("fused")
    base = {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}[request.param]
    lora = random_lora(folder / "lora.safetensors", base, dmm_anchor="mel", dmm_format="nano")
    fuse(base, [Lora(lora, 0.8)], folder / "fused.safetensors")
    return base, lora, folder / "fused.safetensors"


def test_unfusing_gives_back_what_was_fused(fused, tmp_path):
    base, lora, file = fused
    found = extract_lora(base, file, tmp_path / "back.safetensors", Ranks(4, 2))
    before = read_factors(lora, base)
    after = read_factors(tmp_path / "back.safetensors", base)
    assert before.keys() == after.keys() and not found.left_out
    for layer, factors in before.items():
        assert (factors.delta(0.8) - after[layer].delta()).abs().max() < 1e-5
        assert factors.delta().abs().max() > 0.01
    assert found.energy > 0.999999 and min(layer.energy for layer in found.layers) > 0.99999


def test_less_rank_keeps_less_and_says_how_much(tiny_checkpoint, random_lora, tmp_path):
    lora = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint)
    fuse(tiny_checkpoint, [Lora(lora)], tmp_path / "fused.safetensors")
    back = tmp_path / "back.safetensors"
    found = extract_lora(tiny_checkpoint, tmp_path / "fused.safetensors", back, Ranks(2, 1))
    whole, cut = read_factors(lora, tiny_checkpoint), read_factors(back, tiny_checkpoint)
    for layer in found.layers[:20]:
        delta, kept = whole[layer.name].delta(), cut[layer.name].delta()
        lost = (delta - kept).square().sum() / delta.square().sum()
        assert 0.3 < layer.energy < 1 and layer.energy == pytest.approx(1 - float(lost), abs=1e-4)


def test_kernels_can_be_left_out(fused, tmp_path):
    base, _, file = fused
    found = extract_lora(base, file, tmp_path / "back.safetensors", Ranks(4, 0), "fp16")
    sizes = {layer: place.size for layer, place in trained_layers(read_architecture(base)).items()}
    kernels = {layer for layer, size in sizes.items() if size[2:] == (3, 3)}
    assert {layer.name for layer in found.layers} == sizes.keys() - kernels
    assert len(found.left_out) == len(kernels)
    saved = load_file(tmp_path / "back.safetensors")
    assert {tensor.dtype for tensor in saved.values()} == {torch.float16}


def test_what_no_lora_holds_is_named(tiny_checkpoint, tmp_path):
    tensors = load_file(tiny_checkpoint)
    tensors[RESBLOCK + "in_layers.2.bias"] += 1
    tensors[RESBLOCK + "in_layers.2.weight"][0, 0] += 1
    tensors["model.diffusion_model.input_blocks.0.0.weight"] += 1
    save_file(tensors, tmp_path / "tuned.safetensors")
    found = extract_lora(
        tiny_checkpoint, tmp_path / "tuned.safetensors", tmp_path / "a.safetensors", Ranks(1, 1)
    )
    assert [layer.name for layer in found.layers] == ["lora_unet_input_blocks_1_0_in_layers_2"]
    assert sorted(name.removeprefix("model.diffusion_model.") for name in found.left_out) == [
        "input_blocks.0.0.weight",
        "input_blocks.1.0.in_layers.2.bias",
    ]


def test_rounding_to_half_precision_is_no_change(tiny_checkpoint, tmp_path):
    tensors = {key: tensor.half() for key, tensor in load_file(tiny_checkpoint).items()}
    save_file(tensors, tmp_path / "half.safetensors")
    with pytest.raises(ModelError, match="no layer differs"):
        extract_lora(tiny_checkpoint, tmp_path / "half.safetensors", tmp_path / "a", Ranks(1, 1))


def test_metadata_are_those_of_a_lora_of_this_base(fused, tmp_path):
    base, _, file = fused
    extract_lora(base, file, tmp_path / "back.safetensors", Ranks(4, 2))
    found = read_metadata(tmp_path / "back.safetensors")
    assert (found["dmm_anchor"], found["dmm_format"]) == ("mel", "nano")
    assert (found["ss_sd_model_name"], found["ss_network_dim"]) == (base.name, "4")
    assert json.loads(found["dmm_unfused"])["fused"]["file"] == "fused.safetensors"
    assert json.loads(found["ss_network_args"])["conv_dim"] == "2"


def test_checkpoints_of_unlike_sizes_and_bad_ranks_are_refused(
    tiny_checkpoint, tiny_sd15, tmp_path
):
    out = tmp_path / "a.safetensors"
    with pytest.raises(ModelError, match=r"tiny-sd15.* not of the sizes of .*SDXL"):
        extract_lora(tiny_checkpoint, tiny_sd15, out, Ranks(1, 1))
    with pytest.raises(ValueError, match="1 or more"):
        extract_lora(tiny_checkpoint, tiny_checkpoint, out, Ranks(0, 1))
    with pytest.raises(InputError, match="another file"):
        extract_lora(tiny_checkpoint, tiny_checkpoint, tiny_checkpoint, Ranks(1, 1))
