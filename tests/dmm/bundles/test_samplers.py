import numpy as np
import pytest
import torch

from dmm.bundles.noise import TorchRandom, first_noise, slerp
from dmm.bundles.samplers import SAMPLERS, make_sampler
from dmm.bundles.schema import Schedule
from dmm.checkpoints.pipeline import SCHEDULER
from dmm.errors import PresetError
from dmm.generation.sampling import make_scheduler
from dmm.noise import slerp as torch_slerp

FIELDS = ("beta_start", "beta_end", "beta_schedule", "timestep_spacing", "steps_offset")
SCHEDULE = Schedule(train_timesteps=1000, **{field: SCHEDULER[field] for field in FIELDS})
ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


@pytest.mark.parametrize("steps", [1, 4, 25])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_walks_as_diffusers_does(name, prediction, steps):
    compare(name, {"prediction_type": prediction}, steps)


@pytest.mark.parametrize("name", ["euler", "ddim", "dpm++-2m", "dpm++-2m-karras"])
def test_schedules_that_end_in_noise_alone_are_walked_as_in_diffusers(name):
    compare(name, {"prediction_type": "v_prediction", **ZERO_SNR}, 10)


def test_an_unknown_sampler_is_named_with_the_known_ones():
    with pytest.raises(PresetError, match=r"heun.*known: euler, .*lcm"):
        make_sampler("heun", SCHEDULE, "epsilon", 4)


@pytest.mark.parametrize("shape", [(4, 4), (8, 32, 32), (3, 7), (5, 11, 13)])
def test_noise_is_that_of_torch_to_the_last_rounding(shape):
    ours, theirs = TorchRandom(7), torch.Generator().manual_seed(7)
    for _ in range(3):  # a sampler's own noise goes on from the first
        expected = torch.randn(shape, generator=theirs).numpy()
        assert np.abs(ours.randn(shape) - expected).max() < 2e-6


def test_seeds_beyond_32_bits_are_cut_as_in_torch():
    expected = torch.randn(4, 8, generator=torch.Generator().manual_seed(2**40 + 3)).numpy()
    assert np.abs(first_noise(2**40 + 3, (4, 8)) - expected).max() < 2e-6


@pytest.mark.parametrize("amount", [0.0, 0.3, 1.0])
def test_noise_between_two_seeds_is_that_of_generation(amount):
    a, b = first_noise(1, (8, 8)), first_noise(2, (8, 8))
    expected = torch_slerp(torch.from_numpy(a), torch.from_numpy(b), amount).numpy()
    assert np.allclose(slerp(a, b, amount), expected, atol=1e-6)


def compare(name, changes, steps):
    """Run both for the same predictions, a nonlinear function of latents and time."""
    config = {**SCHEDULER, **changes}
    theirs = make_scheduler(name, config)
    theirs.set_timesteps(steps)
    fields = {key: value for key, value in changes.items() if key != "prediction_type"}
    ours = make_sampler(name, SCHEDULE.model_copy(update=fields), changes["prediction_type"], steps)
    assert np.allclose(ours.timesteps, theirs.timesteps.numpy(), atol=1e-3)
    assert ours.init_noise_sigma == pytest.approx(float(theirs.init_noise_sigma), rel=1e-6)
    generator, random = torch.Generator().manual_seed(3), TorchRandom(3)
    theirs_x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    ours_x = theirs_x.numpy() * np.float32(ours.init_noise_sigma)
    theirs_x = theirs_x * theirs.init_noise_sigma
    for number, time in enumerate(theirs.timesteps):
        scaled = theirs.scale_model_input(theirs_x, time)
        predicted = torch.tanh(scaled) * (0.5 + time / 2000)
        extra = {"generator": generator} if name == "lcm" else {}
        theirs_x = theirs.step(predicted, time, theirs_x, return_dict=False, **extra)[0]
        found = ours.scale_input(ours_x, number)
        guess = np.tanh(found) * np.float32(0.5 + ours.timesteps[number] / 2000)
        ours_x = ours.step(guess, number, ours_x, lambda: random.randn((1, 4, 4, 4)))
    assert ours_x.dtype == np.float32
    scale = np.abs(theirs_x.numpy()).max()
    assert np.abs(ours_x - theirs_x.numpy()).max() < 1e-4 * scale
