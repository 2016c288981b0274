import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints import sd15_layout, sdxl_layout
from dmm.checkpoints.architecture import prediction_type, read_architecture
from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.sd15_shapes import Sd15Shapes, sd15_shapes
from dmm.checkpoints.sdxl_shapes import SdxlShapes, sdxl_shapes
from dmm.errors import ModelError
from dmm.pretraining.nano import NANO

UNET = "model.diffusion_model."

SD15 = Sd15Shapes(
    latent_channels=4, channels=(320, 640, 1280, 1280), time_embed_dim=1280,
    te=TextEncoderShapes(49408, 768, 3072, 12), vae_channels=(128, 256, 512, 512), vae_layers=2,
)  # fmt: skip
SDXL = SdxlShapes(
    latent_channels=4, model_channels=320, time_embed_dim=1280, adm_channels=2816,
    context_dim=2048, depths=(2, 10), te1=TextEncoderShapes(49408, 768, 3072, 12),
    te2=TextEncoderShapes(49408, 1280, 5120, 32), vae_channels=(128, 256, 512, 512), vae_layers=2,
)  # fmt: skip


@pytest.fixture
def file(tmp_path):
    """``file(name, ...)``: a safetensors file whose tensors have these names."""

    def write(*names: str):
        path = tmp_path / "model.safetensors"
        save_file({name: torch.zeros(1) for name in names}, path)
        return path

    return write


def test_sizes_are_read_from_the_header(tiny_checkpoint, tiny_sd15, tiny_sd15_shapes):
    assert read_architecture(tiny_checkpoint) == NANO
    assert read_architecture(tiny_sd15) == tiny_sd15_shapes


def test_the_two_architectures_are_distinguished(tiny_checkpoint, tiny_sd15):
    assert read_architecture(tiny_checkpoint).kind == "sdxl"
    assert read_architecture(tiny_sd15).kind == "sd15"


def test_prediction_type_comes_from_the_metadata(tiny_checkpoint, tiny_sd15):
    assert prediction_type(tiny_checkpoint) == "v_prediction"
    assert prediction_type(tiny_sd15) == "epsilon"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight", "a LoRA"),
        ("unet.down_blocks.0.attentions.0.to_q.lora_A.weight", "a LoRA"),
        ("conditioner.embedders.0.model.token_embedding.weight", "SDXL's refiner"),
        ("cond_stage_model.model.transformer.resblocks.0.ln_1.weight", "SD 2"),
        ("cond_stage_model.transformer.encoder.layers.0.mlp.fc1.weight", "before 2023"),
        (UNET + "double_blocks.0.img_attn.qkv.weight", "Flux"),
        (UNET + "joint_blocks.0.x_block.mlp.fc1.weight", "SD 3"),
        ("down_blocks.0.resnets.0.conv1.weight", "the diffusers layout"),
        ("text_model.encoder.layers.0.mlp.fc1.weight", "the diffusers layout"),
        ("emb_params", "no SD 1.5 or SDXL checkpoint"),
    ],
)
def test_every_other_kind_of_file_is_named(file, name, said):
    with pytest.raises(ModelError, match=rf"model\.safetensors: .*{said}") as error:
        read_architecture(file(name, "another.weight"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("fixture", ["tiny_checkpoint", "tiny_sd15"])
@pytest.mark.parametrize("part", [UNET + "time_embed.", "first_stage_model."])
def test_a_checkpoint_without_a_network_is_refused(request, tmp_path, fixture, part):
    tensors = load_file(request.getfixturevalue(fixture))
    half = tmp_path / "half.safetensors"
    save_file({name: tensor for name, tensor in tensors.items() if part not in name}, half)
    with pytest.raises(ModelError, match=rf"but not all of it \(no '{part}"):
        read_architecture(half)


@pytest.mark.parametrize("fixture", ["tiny_checkpoint", "tiny_sd15"])
def test_a_pruned_and_an_inpainting_unet_are_refused(request, tmp_path, fixture):
    tensors = load_file(request.getfixturevalue(fixture))
    pruned = tmp_path / "pruned.safetensors"
    save_file({n: t for n, t in tensors.items() if ".input_blocks.8." not in n}, pruned)
    with pytest.raises(ModelError, match="its UNet has"):
        read_architecture(pruned)
    tensors[UNET + "input_blocks.0.0.weight"] = torch.zeros(32, 9, 3, 3)
    save_file(tensors, tmp_path / "inpainting.safetensors")
    with pytest.raises(ModelError, match=r"for inpainting or editing \(its UNet takes 9 channels"):
        read_architecture(tmp_path / "inpainting.safetensors")


def test_missing_truncated_and_unpacked_checkpoints_have_different_errors(tiny_sd15, tmp_path):
    with pytest.raises(ModelError, match="no such checkpoint"):
        read_architecture(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="a folder; name the one"):
        read_architecture(tmp_path)
    (tmp_path / "cut.safetensors").write_bytes(tiny_sd15.read_bytes()[:-100_000])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        read_architecture(tmp_path / "cut.safetensors")


def test_a_checkpoint_that_its_card_does_not_know_is_refused(tiny_checkpoint, tmp_path):
    altered = tmp_path / "small.safetensors"
    altered.write_bytes(tiny_checkpoint.read_bytes()[:-4])
    (tmp_path / "README.md").write_text(f"| sha256 of `small.safetensors` | `{'0' * 64}` |")
    with pytest.raises(ModelError, match="damaged or altered"):
        read_architecture(altered)


@pytest.mark.parametrize(
    ("shapes", "layout", "weights", "names"),
    [(SD15, sd15_layout, 859_520_964, 686), (SDXL, sdxl_layout, 2_567_463_684, 1680)],
)
def test_at_full_size_the_published_models_are_met(shapes, layout, weights, names):
    with torch.device("meta"):
        networks = build_networks(shapes)
        tensors = layout.single_file_tensors(*networks.values())
    assert sum(tensor.numel() for tensor in networks["unet"].parameters()) == weights
    assert sum(name.startswith(UNET) for name in tensors) == names
    header = {name: list(tensor.shape) for name, tensor in tensors.items()}
    assert (sd15_shapes if shapes is SD15 else sdxl_shapes)(header) == shapes
