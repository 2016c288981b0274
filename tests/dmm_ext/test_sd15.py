"""SD 1.5 in the engine and in diffusers: the same networks from the same file."""

import pytest
import torch
from safetensors.torch import load_file

from dmm.checkpoints.lora import check_lora, clip_skip
from dmm.checkpoints.network_shapes import TextEncoderShapes
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.pipeline import load_pipeline
from dmm.checkpoints.sd15_shapes import Sd15Shapes
from dmm.checkpoints.tokenizers import ensure_tokenizer_folder
from dmm.generation.conditioning import embed_prompts

pytestmark = pytest.mark.filterwarnings("ignore")
CAPTION = "mel music, piano, slow"


@pytest.fixture
def loaded(inside_engine, tiny_sd15, tiny_sd15_shapes):
    """The engine's text encoder, VAE and UNet of the tiny checkpoint."""
    from library import model_util

    from dmm_ext.any_width_sd15 import use_checkpoint_sizes

    with use_checkpoint_sizes(tiny_sd15_shapes):
        return model_util.load_models_from_stable_diffusion_checkpoint(False, str(tiny_sd15))


@pytest.fixture
def pipeline(tiny_sd15):
    return load_pipeline(tiny_sd15)


def test_the_engine_is_itself_again_afterwards(inside_engine, tiny_sd15_shapes):
    from library import model_util, original_unet

    from dmm_ext.any_width_sd15 import use_checkpoint_sizes

    before = {module: dict(vars(module)) for module in (model_util, original_unet)}
    with pytest.raises(KeyboardInterrupt), use_checkpoint_sizes(tiny_sd15_shapes):
        assert original_unet.BLOCK_OUT_CHANNELS == tiny_sd15_shapes.channels
        raise KeyboardInterrupt
    assert all(vars(module) == names for module, names in before.items())
    assert original_unet.BLOCK_OUT_CHANNELS == (320, 640, 1280, 1280)


def test_the_engines_own_sizes_are_those_of_full_size_shapes(inside_engine):
    from library import model_util, original_unet

    te = TextEncoderShapes(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_layers=12)
    shapes = Sd15Shapes(4, (320, 640, 1280, 1280), 1280, te, (128, 256, 512, 512), 2)
    with torch.device("meta"):
        config = model_util.create_unet_diffusers_config(v2=False)
        theirs = original_unet.UNet2DConditionModel(**config).state_dict()
        ours = build_networks(shapes)["unet"].state_dict()
    assert {k: t.shape for k, t in theirs.items()} == {k: t.shape for k, t in ours.items()}


def test_engine_and_diffusers_predict_the_same_noise(loaded, pipeline, tiny_sd15_shapes):
    noisy, text = _inputs(tiny_sd15_shapes)
    with torch.no_grad():
        theirs = loaded[2](noisy, torch.tensor([500, 20]), text).sample
        ours = pipeline.unet(noisy, torch.tensor([500, 20]), text).sample
    assert theirs.std() > 0.01 and (theirs - ours).abs().max() < 1e-4


def test_engine_and_diffusers_share_a_latent_space(loaded, pipeline, tiny_sd15_shapes):
    pixels = torch.randn(1, 3, 64, 64, generator=torch.manual_seed(0))
    with torch.no_grad():
        theirs, ours = (vae.encode(pixels).latent_dist.mean for vae in (loaded[1], pipeline.vae))
    assert torch.equal(theirs, ours) and theirs.shape[1] == tiny_sd15_shapes.latent_channels


@pytest.mark.parametrize("skip", [None, 1, 2, 3])
@pytest.mark.parametrize("caption", [CAPTION, ""])
def test_text_is_the_same_at_every_clip_skip(loaded, pipeline, tiny_sd15_shapes, skip, caption):
    theirs = _engine_text(loaded[0], skip, caption, tiny_sd15_shapes)
    read = clip_skip({"ss_clip_skip": str(skip)}, tiny_sd15_shapes)
    ours = embed_prompts(pipeline, [caption], read or 1).tokens
    assert theirs.shape == (1, 77, 64) and (theirs - ours).abs().max() < 1e-5


def test_another_clip_skip_is_another_text(pipeline):
    layers = [embed_prompts(pipeline, [CAPTION], layer).tokens for layer in (1, 2, 3)]
    assert (layers[0] - layers[1]).abs().max() > 0.1 < (layers[1] - layers[2]).abs().max()


@pytest.mark.parametrize("conv", [{}, {"conv_dim": "2", "conv_alpha": "1"}])
def test_a_lora_of_the_engine_does_the_same_in_diffusers(
    loaded, pipeline, tiny_sd15, tiny_sd15_shapes, tmp_path, conv
):
    from networks import lora

    text_encoder, vae, unet = loaded
    plain = _prediction(text_encoder, unet, tiny_sd15_shapes)
    network = lora.create_network(1.0, 4, 2.0, vae, [text_encoder], unet, **conv)
    for module in network.text_encoder_loras + network.unet_loras:
        module.lora_up.weight.data.normal_(std=0.1, generator=torch.manual_seed(0))
    file = tmp_path / "lora.safetensors"
    network.apply_to([text_encoder], unet, True, True)
    network.save_weights(str(file), torch.float32, {"ss_sd_model_name": tiny_sd15.name})
    theirs = _prediction(text_encoder, unet, tiny_sd15_shapes)
    assert any("resnets" in name for name in load_file(file)) == bool(conv)
    check_lora(file, tiny_sd15)
    pipeline.load_lora_weights(str(tmp_path), weight_name=file.name, local_files_only=True)
    ours = _prediction(pipeline.text_encoder, pipeline.unet, tiny_sd15_shapes)
    assert (theirs - plain).abs().max() > 0.01
    assert (theirs - ours).abs().max() < 1e-4


def _inputs(shapes):
    generator = torch.manual_seed(0)
    noisy = torch.randn(2, shapes.latent_channels, 16, 24, generator=generator)
    return noisy, torch.randn(2, 77, shapes.context_dim, generator=generator)


def _prediction(text_encoder, unet, shapes):
    noisy, _ = _inputs(shapes)
    with torch.no_grad():
        text = _engine_text(text_encoder, None, CAPTION, shapes)
        return unet(noisy[:1], torch.tensor([300]), text).sample


def _engine_text(text_encoder, skip, caption, shapes):
    """What the engine's own strategies make of a caption while training."""
    from library import strategy_sd

    folder = str(ensure_tokenizer_folder(shapes.vocab_size))
    tokenize = strategy_sd.SdTokenizeStrategy(False, None, folder)
    encode = strategy_sd.SdTextEncodingStrategy(skip)
    with torch.no_grad():
        return encode.encode_tokens(tokenize, [text_encoder], tokenize.tokenize(caption))[0]
