from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dmm.checkpoints.pipeline import SCHEDULER
from dmm.generation.conditioning import Conditioning, PromptEmbeddings
from dmm.generation.denoising import sample
from dmm.generation.sampling import Sampling
from dmm.songs.joint_diffusion import decode_windows, sample_jointly
from dmm.songs.latent_windows import lay_windows

CHANNELS, ROWS, WIDTH, FACTOR = 3, 4, 8, 2


class LocalVae:
    """Decodes each latent column to two image columns, whatever its neighbours are."""

    dtype = torch.float32
    config = SimpleNamespace(scaling_factor=1.0)

    def decode(self, latents, return_dict):
        tall = latents.repeat_interleave(FACTOR, 2).repeat_interleave(FACTOR, 3)
        return (tall.clamp(-1, 1),)


@pytest.fixture
def pipeline():
    return SimpleNamespace(
        unet=SimpleNamespace(config=SimpleNamespace(in_channels=CHANNELS)),
        scheduler=SimpleNamespace(config={**SCHEDULER, "prediction_type": "v_prediction"}),
        vae=LocalVae(),
        vae_scale_factor=FACTOR,
        _execution_device="cpu",
    )


def conditioning(n):
    embedded = PromptEmbeddings(torch.zeros(n, 1, 1), None)
    return Conditioning(embedded, embedded, 1.0)


def local(_, noisy, timestep, conditioning):
    """A prediction that depends on nothing but its own cell."""
    assert len(conditioning.prompts) == len(noisy)
    return 0.3 * noisy.sin() + 0.001 * timestep


@pytest.mark.parametrize("sampler", ["euler", "ddim", "dpmsolver++", "dpm++-2m", "heun", "unipc"])
@pytest.mark.parametrize("loop", [False, True])
def test_windows_leave_no_trace_in_a_local_prediction(pipeline, sampler, loop):
    windows = lay_windows(29, WIDTH, loop=loop)
    sampling = Sampling(sampler, steps=6)
    n = len(windows.starts)
    jointly = sample_jointly(
        pipeline, windows, conditioning(n), sampling, ROWS, 5, local, batch_size=3
    )
    noise = torch.randn((29, CHANNELS, ROWS), generator=torch.Generator().manual_seed(5))
    noise = noise.permute(1, 2, 0)[None]
    at_once = sample(pipeline, noise, conditioning(1), sampling, [torch.Generator()], predict=local)
    torch.testing.assert_close(jointly, at_once)


def test_a_longer_song_begins_with_the_noise_of_a_shorter_one(pipeline):
    noises = []
    for length in (14, 29):
        windows = lay_windows(length, WIDTH)
        views = []
        sample_jointly(
            pipeline,
            windows,
            conditioning(len(windows.starts)),
            Sampling("euler", steps=1),
            ROWS,
            3,
            lambda _, noisy, *rest, views=views: views.append(noisy) or torch.zeros_like(noisy),
        )
        noises.append(views[0][0])
    torch.testing.assert_close(noises[0], noises[1])


@pytest.mark.parametrize(("length", "loop"), [(29, False), (8, False), (29, True), (5, True)])
@pytest.mark.parametrize("stereo", [False, True])
def test_images_of_windows_fit_together(pipeline, rng, length, loop, stereo):
    windows = lay_windows(length, WIDTH, loop=loop)
    latents = torch.from_numpy(rng.uniform(-1, 1, (1, CHANNELS, ROWS, length)).astype(np.float32))
    wide = decode_windows(pipeline, latents, windows, stereo)
    shown = pipeline.vae.decode(latents, return_dict=False)[0][0].permute(1, 2, 0).numpy() / 2 + 0.5
    expected = 255 * (shown if stereo else shown.mean(-1))
    np.testing.assert_allclose(wide, expected, atol=0.51)
