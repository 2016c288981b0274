import pytest
import torch
from diffusers.loaders import single_file
from safetensors.torch import load_file, save_file

from dmm.checkpoints import pipeline
from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.pipeline import load_pipeline
from dmm.errors import ModelError

BOTH = pytest.mark.parametrize("fixture", ["tiny_checkpoint", "tiny_sd15"])


@pytest.fixture
def with_diffusers_alone(monkeypatch):
    """Leave the UNet to diffusers' loader too."""

    def refuse(*_):
        raise ModelError("weights of 8 bits")

    monkeypatch.setattr(pipeline, "_load_unet", refuse)


@BOTH
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_diffusers_own_loader_finds_every_tensor_where_we_wrote_it(
    request, fixture, with_diffusers_alone
):
    checkpoint = request.getfixturevalue(fixture)
    torch.manual_seed(0)
    networks = build_networks(read_architecture(checkpoint))
    loaded = load_pipeline(checkpoint)
    for part, ours in networks.items():
        expected, found = ours.state_dict(), getattr(loaded, part).state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)


@BOTH
def test_the_unet_is_read_without_diffusers_to_the_same_bits(request, fixture, monkeypatch):
    checkpoint, load = request.getfixturevalue(fixture), single_file.load_single_file_sub_model
    by_diffusers = []
    monkeypatch.setattr(
        single_file,
        "load_single_file_sub_model",
        lambda *args, **named: by_diffusers.append(named["name"]) or load(*args, **named),
    )
    ours = load_pipeline(checkpoint, torch.bfloat16).unet
    assert "text_encoder" in by_diffusers and "unet" not in by_diffusers
    request.getfixturevalue("with_diffusers_alone")
    theirs = load_pipeline(checkpoint, torch.bfloat16).unet
    assert ours.dtype == theirs.dtype == torch.bfloat16 and ours.training == theirs.training
    expected, found = theirs.state_dict(), ours.state_dict()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


def test_the_pipeline_is_of_the_checkpoints_architecture(tiny_checkpoint, tiny_sd15):
    assert type(load_pipeline(tiny_checkpoint)).__name__ == "StableDiffusionXLPipeline"
    loaded = load_pipeline(tiny_sd15)
    assert type(loaded).__name__ == "StableDiffusionPipeline"
    assert loaded.vae.config.scaling_factor == 0.18215
    assert loaded.tokenizer.pad_token == "<|endoftext|>"
    assert loaded.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.heads == 8


@BOTH
@pytest.mark.parametrize(
    "missing",
    ["model.diffusion_model.out.2.weight", "first_stage_model.decoder.norm_out.bias",
     "final_layer_norm.bias"],
)  # fmt: skip
def test_a_checkpoint_without_one_tensor_is_refused(request, tmp_path, fixture, missing):
    tensors = load_file(request.getfixturevalue(fixture))
    left = {name: tensor for name, tensor in tensors.items() if not name.endswith(missing)}
    assert len(left) == len(tensors) - 1
    save_file(left, tmp_path / "less.safetensors")
    with pytest.raises(ModelError, match=r"less\.safetensors: ") as error:
        load_pipeline(tmp_path / "less.safetensors")
    assert "\n" not in str(error.value)


def test_what_published_files_hold_besides_is_passed_over(tiny_sd15, tmp_path):
    besides = {
        "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(77)[None],
        "model_ema.decay": torch.tensor(0.9999),
        "alphas_cumprod": torch.ones(1000),
    }
    save_file(load_file(tiny_sd15) | besides, tmp_path / "published.safetensors")
    found, plain = load_pipeline(tmp_path / "published.safetensors"), load_pipeline(tiny_sd15)
    for part in ("unet", "text_encoder", "vae"):
        expected = getattr(plain, part).state_dict()
        state = getattr(found, part).state_dict()
        assert all(torch.equal(state[key], tensor) for key, tensor in expected.items())
