"""Images of the engine's own networks are those that ``dmm generate`` makes through diffusers."""

import random
from contextlib import nullcontext
from dataclasses import asdict
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest
import torch

from dmm.codec.image import read_image
from dmm.codec.mel import load_format
from dmm.generation.sampling import SAMPLERS, Sampling

TINY = load_format("nano").model_copy(update={"n_mels": 64, "n_frames": 64})
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def load(inside_engine, tiny_checkpoint, tiny_sd15):
    """``load(kind)``: trainer, checkpoint and EngineState as in training, with checkpointing."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState
    from networks import lora

    from dmm.checkpoints.architecture import read_architecture
    from dmm.checkpoints.tokenizers import ensure_tokenizer_folder
    from dmm_ext import any_width_sd15, trainer
    from dmm_ext.engine_state import EngineState
    from dmm_ext.process import setup_parser

    def load(kind):
        checkpoint = {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}[kind]
        of_kind = {"sdxl": trainer.SdxlMelTrainer, "sd15": trainer.Sd15MelTrainer}[kind]()
        shapes = read_architecture(checkpoint)
        words = [
            f"--pretrained_model_name_or_path={checkpoint}", "--sdpa", "--mixed_precision=no",
            f"--tokenizer_cache_dir={ensure_tokenizer_folder(shapes.vocab_size)}",
        ]  # fmt: skip
        args = setup_parser().parse_args(words)
        args.v_parameterization = kind == "sdxl"
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()
        accelerator = Accelerator(cpu=True)
        engine = of_kind.__class__.__mro__[2]
        own_sizes = any_width_sd15.use_checkpoint_sizes(shapes) if kind == "sd15" else nullcontext()
        with (
            own_sizes,
            patch.object(trainer.MelTraining, "load_target_model", engine.load_target_model),
        ):
            _, text, vae, unet = of_kind.load_target_model(args, torch.float32, accelerator)
        text = text if isinstance(text, list) else [text]
        network = lora.create_network(1.0, 4, 4, vae, text, unet, conv_dim=2, conv_alpha=2)
        network.apply_to(text, unet, True, True)
        unet.enable_gradient_checkpointing()
        unet.train()
        vae.eval()
        engine = EngineState(
            args, accelerator, network, unet, vae, text, None, torch.float32, torch.float32
        )
        return of_kind, checkpoint, engine

    return cache(load)


@pytest.fixture
def engine_parts(load, monkeypatch):
    """``engine_parts(kind)``: what ``load`` gives, with the engine's strategies set."""
    from library import strategy_base

    def engine_parts(kind):
        trainer, checkpoint, engine = load(kind)
        tokenize = trainer.get_tokenize_strategy(engine.args)
        encoding = trainer.get_text_encoding_strategy(engine.args)
        monkeypatch.setattr(strategy_base.TokenizeStrategy, "_strategy", tokenize)
        monkeypatch.setattr(strategy_base.TextEncodingStrategy, "_strategy", encoding)
        return trainer, checkpoint, engine

    return engine_parts


@pytest.fixture
def sdxl(engine_parts):
    return engine_parts("sdxl")


def difference(drawn, files):
    """Largest difference in grey levels."""
    made = [read_image(path.with_suffix(".png"))[0] for path in files]
    return max(np.abs(a.astype(int) - b).max() for a, b in zip(drawn, made, strict=True))


@pytest.mark.parametrize("kind", ["sdxl", "sd15"])
def test_a_preview_is_what_generate_makes_from_the_saved_lora(engine_parts, kind, tmp_path):
    """Engine and diffusers generate alike, with a LoRA on the UNet and on all text encoders."""
    from dmm.generation.generate import generate
    from dmm_ext.preview_images import ImageGenerator

    trainer, checkpoint, engine = engine_parts(kind)
    sampling, prompts = Sampling(steps=4), ["piano, slow", "organ"]
    texts = [f"mel music, {prompt}" for prompt in prompts]
    generator = ImageGenerator(engine, trainer, texts, (256, 256), sampling)
    plain = generator.generate(texts, [5, 6])
    made = generate(
        prompts, checkpoint, tmp_path / "a", seed=5, anchor="mel music", **asdict(sampling)
    )
    assert difference(plain, made) <= 1
    torch.manual_seed(1)
    for layer in engine.network.unet_loras + engine.network.text_encoder_loras:
        torch.nn.init.normal_(layer.lora_up.weight, std=0.05)
    tuned = generator.generate(texts, [5, 6])
    assert difference(tuned, made) > 5
    lora = tmp_path / "lora.safetensors"
    engine.network.save_weights(str(lora), torch.float32, {"dmm_anchor": "mel music"})
    again = generate(prompts, checkpoint, tmp_path / "b", lora, seed=5, **asdict(sampling))
    assert difference(tuned, again) <= 1


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint):
    from dmm.checkpoints.pipeline import load_pipeline

    loaded = load_pipeline(tiny_checkpoint)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_of_previews_gives_what_it_gives_in_generate(sdxl, pipeline, sampler):
    from dmm.generation.mel_images import generate_images
    from dmm.generation.requests import ClipRequest
    from dmm.generation.settings import GenerationSettings
    from dmm_ext.preview_images import ImageGenerator

    trainer, _, engine = sdxl
    for layer in engine.network.unet_loras + engine.network.text_encoder_loras:
        torch.nn.init.zeros_(layer.lora_up.weight)
    sampling = Sampling(sampler, steps=3)
    generator = ImageGenerator(engine, trainer, ["organ"], (64, 64), sampling)
    (preview,) = generator.generate(["organ"], [5])
    settings = GenerationSettings(TINY, sampling)
    (made,) = generate_images(pipeline, [ClipRequest("organ", 5)], settings)
    assert np.abs(preview.astype(int) - made).max() <= 1


def test_generating_leaves_models_and_random_states_as_they_were(sdxl):
    from dmm_ext.preview_images import ImageGenerator, preserved_random_states

    trainer, _, engine = sdxl
    engine.vae.decoder.train()
    models = (engine.unet, engine.network, engine.vae, *engine.text_encoders)
    before = [module.training for model in models for module in model.modules()]
    state = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    with preserved_random_states(torch.device("cpu")):  # a first import may draw a number, too
        ImageGenerator(engine, trainer, ["organ"], (64, 64), Sampling(steps=1)).generate(
            ["organ"], [0]
        )
    assert before == [module.training for model in models for module in model.modules()]
    assert {True, False} == set(before) and torch.is_grad_enabled()
    assert torch.equal(state[0], torch.get_rng_state())
    with preserved_random_states(torch.device("cpu")):
        torch.rand(1), random.random(), np.random.rand()
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1:] == (random.getstate(), np.random.get_state()[1].tolist())


@pytest.mark.parametrize("learning", [False, True])
def test_texts_are_encoded_again_only_while_text_encoders_train(sdxl, learning):
    from dmm_ext.preview_images import ImageGenerator

    trainer, _, engine = sdxl
    with patch.object(trainer, "is_train_text_encoder", lambda _: learning):
        generator = ImageGenerator(engine, trainer, ["organ"], (64, 64), Sampling(steps=2))
    first = generator.generate(["organ"], [0])
    vectors = engine.text_encoders[0].text_model.embeddings.token_embedding.weight
    vectors.data = vectors.data.flip(0)
    second = generator.generate(["organ"], [0])
    vectors.data = vectors.data.flip(0)
    assert (first[0] != second[0]).any() == learning


def test_an_image_that_is_not_finite_is_refused(sdxl):
    from dmm.errors import ModelError
    from dmm_ext.preview_images import ImageGenerator

    trainer, _, engine = sdxl
    generator = ImageGenerator(engine, trainer, ["organ"], (64, 64), Sampling(steps=1))
    with (
        patch.object(trainer, "vae_scale_factor", float("nan")),
        pytest.raises(ModelError, match="diverged"),
    ):
        generator.generate(["organ"], [0])
