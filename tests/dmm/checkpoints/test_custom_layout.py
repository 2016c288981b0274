"""Students whose UNet or VAE is in a layout that only their metadata tell."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints.architecture import read_architecture, refuse_custom_layout
from dmm.checkpoints.custom_layout import CustomLayout, canonical_json
from dmm.checkpoints.custom_tensors import custom_tensors
from dmm.checkpoints.lora_layers import lora_layers
from dmm.checkpoints.networks import build_networks, mean_latents
from dmm.checkpoints.pipeline import load_pipeline
from dmm.checkpoints.sdxl_layout import save_checkpoint, single_file_tensors
from dmm.errors import ModelError
from dmm.pretraining.nano import NANO

UNET = {
    "in_channels": 8, "out_channels": 8, "block_out_channels": [16, 32], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "mid_block_type": None,
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "norm_num_groups": 8,
    "attention_head_dim": [1, 1], "cross_attention_dim": 192, "time_embedding_dim": 32,
    "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 128 + 6 * 8,
}  # fmt: skip
VAE = {"latent_channels": 8, "colours": 1, "block_out_channels": [8] * 4, "blocks": [1] * 4}
CUSTOM = CustomLayout(canonical_json(UNET), canonical_json(VAE))


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    return build_networks(replace(NANO, custom=CUSTOM))


@pytest.fixture(scope="module")
def file(networks, tmp_path_factory):
    path = tmp_path_factory.mktemp("custom") / "student.safetensors"
    tensors = single_file_tensors(*networks.values(), custom=CUSTOM)
    metadata = {"modelspec.prediction_type": "v", "dmm_format": "nano", **CUSTOM.metadata}
    save_checkpoint(path, tensors, metadata, torch.float32)
    return path


def test_sizes_and_layout_are_read_back(file):
    shapes = read_architecture(file)
    assert shapes.custom == CUSTOM
    assert (shapes.model_channels, shapes.latent_channels) == (16, 8)
    assert (shapes.te1, shapes.te2) == (NANO.te1, NANO.te2)


def test_a_tiny_vae_of_an_earlier_version_is_refused(file, tmp_path):
    earlier = canonical_json({"latent_channels": 8, "decoder_block_out_channels": [16] * 4})
    metadata = {**CUSTOM.metadata, "dmm_vae_config": earlier}
    save_checkpoint(tmp_path / "a.safetensors", load_file(file), metadata, torch.float32)
    with pytest.raises(ModelError, match="earlier version: distil the decoder again"):
        read_architecture(tmp_path / "a.safetensors")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_every_network_loads_as_it_was_written(file, networks):
    pipeline = load_pipeline(file)
    for part, ours in networks.items():
        found = getattr(pipeline, part).state_dict()
        assert all(torch.equal(tensor, found[key]) for key, tensor in ours.state_dict().items())


def test_latents_are_at_the_unets_scale_whatever_the_vae(networks):
    pixels = torch.zeros(1, 3, 64, 64)
    tiny = networks["vae"]
    assert torch.equal(mean_latents(tiny, pixels), tiny.encoder(pixels))
    usual = build_networks(NANO)["vae"]
    expected = usual.encode(pixels).latent_dist.mean * usual.config.scaling_factor
    assert torch.equal(mean_latents(usual, pixels), expected)


def test_training_refuses_it_by_name(file, tiny_checkpoint):
    refuse_custom_layout(tiny_checkpoint)
    with pytest.raises(ModelError, match=r"student\.safetensors: .*UNet and VAE.*sd-scripts"):
        refuse_custom_layout(file)


def test_a_lora_finds_its_layers_by_diffusers_names(file, networks):
    tensors = load_file(file)
    places = [p for n, p in lora_layers(read_architecture(file)).items() if "_unet_" in n]
    assert len(places) == sum(
        p.ndim > 1 and n.endswith(".weight") for n, p in networks["unet"].named_parameters()
    )
    assert all(tensors[place.tensor].shape == place.size for place in places)


@pytest.mark.parametrize("part", ["unet", "vae"])
def test_a_missing_tensor_is_told_in_one_line(file, networks, tmp_path, part):
    name = next(iter(custom_tensors(part, networks[part])))
    left = {key: tensor for key, tensor in load_file(file).items() if key != name}
    save_file(left, tmp_path / "less.safetensors", {"format": "pt", **CUSTOM.metadata})
    with pytest.raises(ModelError, match=r"less\.safetensors: ") as error:
        load_pipeline(tmp_path / "less.safetensors")
    assert "\n" not in str(error.value)


def test_damaged_metadata_are_told_in_one_line(file, tmp_path):
    path = tmp_path / "damaged.safetensors"
    save_file(load_file(file), path, {"dmm_unet_config": "[1]"})
    with pytest.raises(ModelError, match=r"damaged\.safetensors: .*valid dictionary"):
        read_architecture(path)
