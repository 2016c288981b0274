import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.pipeline import load_pipeline
from dmm.errors import ModelError

BOTH = pytest.mark.parametrize("fixture", ["tiny_checkpoint", "tiny_sd15"])


@BOTH
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_diffusers_own_loader_finds_every_tensor_where_we_wrote_it(request, fixture):
    checkpoint = request.getfixturevalue(fixture)
    torch.manual_seed(0)
    networks = build_networks(read_architecture(checkpoint))
    pipeline = load_pipeline(checkpoint)
    for part, ours in networks.items():
        expected, found = ours.state_dict(), getattr(pipeline, part).state_dict()
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_the_pipeline_is_of_the_checkpoints_architecture(tiny_checkpoint, tiny_sd15):
    assert type(load_pipeline(tiny_checkpoint)).__name__ == "StableDiffusionXLPipeline"
    pipeline = load_pipeline(tiny_sd15)
    assert type(pipeline).__name__ == "StableDiffusionPipeline"
    assert pipeline.vae.config.scaling_factor == 0.18215
    assert pipeline.tokenizer.pad_token == "<|endoftext|>"
    assert pipeline.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.heads == 8


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
