import pytest
import torch

from dmm.checkpoints.pipeline import load_pipeline
from dmm.codec.mel import load_format
from dmm.generation.denoising import predict
from dmm.generation.exact_batching import BatchInvariantUNet
from dmm.generation.mel_images import generate_latents
from dmm.generation.requests import ClipRequest, clip_requests
from dmm.generation.sampling import SAMPLERS, Sampling, make_scheduler
from dmm.generation.settings import GenerationSettings

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
    """Latents of diffusers' own pipeline."""
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
def test_every_sampler_equals_diffusers_to_the_bit(pipeline, sampler):
    request, sampling = ClipRequest("piano, slow", 3), Sampling(sampler, 4, negative_prompt="noise")
    ours = generate_latents(pipeline, [request], GenerationSettings(TINY, sampling))
    assert torch.equal(ours, theirs(pipeline, request, sampling))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_sd15_equals_diffusers_with_and_without_guidance(sd15, guidance):
    request, sampling = ClipRequest("piano, slow", 3), Sampling("euler-a", 3, guidance, "noise")
    ours = generate_latents(sd15, [request], GenerationSettings(TINY, sampling))
    assert torch.equal(ours, theirs(sd15, request, sampling))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("model", ["pipeline", "sd15"])
def test_a_batch_changes_no_bit_of_a_clip(request, model, guidance):
    pipeline, clips = request.getfixturevalue(model), clip_requests(["piano", "organ"], 2, 5)
    settings = GenerationSettings(TINY, Sampling("euler-a", 3, guidance))
    together = generate_latents(pipeline, clips, settings, predict=BatchInvariantUNet(pipeline))
    for clip, latents in zip(clips, together, strict=True):
        assert torch.equal(generate_latents(pipeline, [clip], settings)[0], latents)


def test_clips_are_computed_one_by_one_where_a_batch_would_change_bits(pipeline, monkeypatch):
    def rounding(pipeline, noisy, timestep, conditioning):
        return predict(pipeline, noisy, timestep, conditioning) + (len(noisy) > 1) * 1e-6

    clips, settings = (
        clip_requests(["piano", "organ"], 1, 5),
        GenerationSettings(TINY, Sampling("euler", 3)),
    )
    monkeypatch.setattr("dmm.generation.exact_batching.predict", rounding)
    together = generate_latents(pipeline, clips, settings, predict=BatchInvariantUNet(pipeline))
    assert torch.equal(together[1:], generate_latents(pipeline, clips[1:], settings))


def test_the_linear_layers_are_restored_afterwards(pipeline):
    generate_latents(
        pipeline,
        clip_requests(["x"], 2, 0),
        GenerationSettings(TINY, Sampling(steps=1)),
        predict=BatchInvariantUNet(pipeline),
    )
    layers = [m for m in pipeline.unet.modules() if type(m) is torch.nn.Linear]
    assert layers and not any("forward" in vars(layer) for layer in layers)
