import pytest
import torch

from dmm.checkpoints.pipeline import load_pipeline
from dmm.codec.mel import load_format
from dmm.generation.denoising import predict
from dmm.generation.drawing import draw_latents
from dmm.generation.exact_batching import Alike
from dmm.generation.recipe import Recipe
from dmm.generation.requests import Request, requests
from dmm.generation.sampling import SAMPLERS, Sampling, make_scheduler

TINY = load_format("nano").model_copy(update={"n_mels": 64, "n_frames": 64})


@pytest.fixture(scope="module")
def pipeline(tiny_checkpoint):
    loaded = load_pipeline(tiny_checkpoint)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def sd15(tiny_sd15):
    loaded = load_pipeline(tiny_sd15)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def theirs(pipeline, request, sampling):
    """What diffusers' own pipeline draws."""
    own = pipeline.scheduler
    pipeline.scheduler = make_scheduler(sampling.sampler, own.config)
    try:
        return pipeline(
            request.prompt, negative_prompt=sampling.negative_prompt,
            num_inference_steps=sampling.steps, guidance_scale=sampling.guidance,
            generator=[torch.Generator().manual_seed(request.seed)],
            height=64, width=64, output_type="latent",
        ).images  # fmt: skip
    finally:
        pipeline.scheduler = own


@pytest.mark.filterwarnings("ignore:__array_wrap__")  # diffusers' dpm2 hands NumPy a tensor
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_what_diffusers_draws_to_the_bit(pipeline, sampler):
    request, sampling = Request("piano, slow", 3), Sampling(sampler, 4, negative_prompt="noise")
    ours = draw_latents(pipeline, [request], Recipe(TINY, sampling))
    assert torch.equal(ours, theirs(pipeline, request, sampling))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_sd15_does_too_with_and_without_guidance(sd15, guidance):
    request, sampling = Request("piano, slow", 3), Sampling("euler-a", 3, guidance, "noise")
    ours = draw_latents(sd15, [request], Recipe(TINY, sampling))
    assert torch.equal(ours, theirs(sd15, request, sampling))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("model", ["pipeline", "sd15"])
def test_a_batch_changes_no_bit_of_a_clip(request, model, guidance):
    pipeline, clips = request.getfixturevalue(model), requests(["piano", "organ"], 2, 5)
    recipe = Recipe(TINY, Sampling("euler-a", 3, guidance))
    together = draw_latents(pipeline, clips, recipe, predict=Alike(pipeline))
    for clip, latents in zip(clips, together, strict=True):
        assert torch.equal(draw_latents(pipeline, [clip], recipe)[0], latents)


def test_where_a_batch_would_change_bits_clips_are_drawn_alone(pipeline, monkeypatch):
    def rounding(pipeline, noisy, timestep, conditions):
        return predict(pipeline, noisy, timestep, conditions) + (len(noisy) > 1) * 1e-6

    clips, recipe = requests(["piano", "organ"], 1, 5), Recipe(TINY, Sampling("euler", 3))
    monkeypatch.setattr("dmm.generation.exact_batching.predict", rounding)
    together = draw_latents(pipeline, clips, recipe, predict=Alike(pipeline))
    assert torch.equal(together[1:], draw_latents(pipeline, clips[1:], recipe))


def test_the_layers_are_afterwards_what_they_were(pipeline):
    draw_latents(
        pipeline, requests(["x"], 2, 0), Recipe(TINY, Sampling(steps=1)), predict=Alike(pipeline)
    )
    layers = [m for m in pipeline.unet.modules() if type(m) is torch.nn.Linear]
    assert layers and not any("forward" in vars(layer) for layer in layers)
