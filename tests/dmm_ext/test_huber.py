"""The Huber threshold against closed forms and against the engine's own function."""

from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch

from dmm.errors import PresetError
from dmm_ext.huber import huber_threshold, timestep_factor, value_over_training
from dmm_ext.options import CURVES

pytestmark = pytest.mark.filterwarnings("ignore")  # the engine's own, when it is imported

T = 1000
ALPHAS = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, T) ** 2).cumprod(0)
TIMESTEPS = torch.tensor([0, 1, 250, 500, 750, 999])


def settings(**changed):
    defaults = {
        "loss_type": "huber",
        "huber_schedule": "constant",
        "huber_c": 0.1,
        "huber_scale": 1.0,
        "huber_start": 0.15,
        "huber_end": 0.05,
        "huber_over": "training",
        "huber_curve": "linear",
        "huber_validation": 0.1,
    }
    return Namespace(**defaults | changed)


@pytest.mark.parametrize("curve", CURVES)
def test_every_curve_falls_from_start_to_end_and_stays_there(curve):
    values = [value_over_training(0.15, 0.05, step / 20, curve) for step in range(21)]
    assert values[0] == pytest.approx(0.15) and values[-1] == pytest.approx(0.05)
    assert values == sorted(values, reverse=True)
    assert value_over_training(0.15, 0.05, 1.5, curve) == pytest.approx(0.05)
    assert value_over_training(0.15, 0.05, -1, curve) == pytest.approx(0.15)


def test_a_quarter_of_the_way_each_curve_is_where_its_formula_says():
    found = [value_over_training(0.16, 0.01, 0.25, curve) for curve in CURVES]
    assert found == pytest.approx([0.1225, 0.01 + 0.15 * (2 + 2**0.5) / 4, 0.08, 0.16])


def test_a_step_is_half_way():
    assert value_over_training(0.15, 0.05, 0.499, "step") == 0.15
    assert value_over_training(0.15, 0.05, 0.5, "step") == 0.05


@pytest.mark.parametrize("schedule", ["constant", "exponential", "snr"])
@pytest.mark.parametrize("c", [0.1, 0.4])
def test_the_engine_has_our_factor_at_scale_one(inside_engine, schedule, c):
    ours = timestep_factor(TIMESTEPS, schedule, c, ALPHAS)
    level = c if schedule == "constant" else 1  # the one formula in which ours differs
    torch.testing.assert_close(level * ours, from_engine(schedule, c, scale=1.0))


@pytest.mark.parametrize("schedule, ratio", [("constant", 2), ("exponential", 2), ("snr", 1)])
def test_the_engines_snr_schedule_ignores_huber_scale(inside_engine, schedule, ratio):
    once, twice = from_engine(schedule, 0.1, scale=1.0), from_engine(schedule, 0.1, scale=2.0)
    torch.testing.assert_close(twice, ratio * once)


def test_timesteps_are_the_engines_by_scale_and_quotient(inside_engine):
    ours = huber_threshold(over_timestep("exponential"), TIMESTEPS, ALPHAS, 0.5)
    torch.testing.assert_close(ours, from_engine("exponential", 0.05 / 0.15, scale=0.15))


def from_engine(schedule, c, scale):
    from library import train_util

    args = settings(huber_schedule=schedule, huber_c=c, huber_scale=scale)
    config = SimpleNamespace(num_train_timesteps=T)
    scheduler = SimpleNamespace(config=config, alphas_cumprod=ALPHAS)
    return train_util.get_huber_threshold_if_needed(args, TIMESTEPS, scheduler)


@pytest.mark.parametrize("changed", [{"huber_start": None}, {"loss_type": "l2"}])
def test_the_engine_decides_without_a_start_or_a_loss_with_a_threshold(changed):
    assert huber_threshold(settings(**changed), TIMESTEPS, ALPHAS, 0.5) is None


def test_over_training_every_timestep_has_the_same_threshold():
    values = huber_threshold(settings(), TIMESTEPS, ALPHAS, 0.25)
    torch.testing.assert_close(values, torch.full((6,), 0.125))


@pytest.mark.parametrize("schedule", ["exponential", "snr"])
def test_training_and_timestep_multiply(schedule):
    args = settings(huber_schedule=schedule, huber_curve="exponential")
    product = (0.15 * 0.05) ** 0.5 * timestep_factor(TIMESTEPS, schedule, 0.1, ALPHAS)
    torch.testing.assert_close(huber_threshold(args, TIMESTEPS, ALPHAS, 0.5), product)


def over_timestep(schedule):
    return settings(huber_over="timestep", huber_schedule=schedule)


def test_over_timesteps_exponential_goes_from_start_to_end():
    values = huber_threshold(over_timestep("exponential"), torch.tensor([0, 500, T]), ALPHAS, 0.9)
    assert values.tolist() == pytest.approx([0.15, (0.15 * 0.05) ** 0.5, 0.05])


def test_over_timesteps_snr_is_start_without_noise_and_end_without_signal():
    alphas = torch.tensor([1.0, 0.5, 0.0])  # sigma 0, 1 and infinite
    values = huber_threshold(over_timestep("snr"), torch.arange(3), alphas, 0.9)
    assert values.tolist() == pytest.approx([0.15, 0.05 + 0.1 / 4, 0.05])


def test_over_timesteps_progress_and_huber_c_do_nothing():
    args = over_timestep("snr")
    first = huber_threshold(args, TIMESTEPS, ALPHAS, 0.0)
    args.huber_c = 0.9
    assert torch.equal(first, huber_threshold(args, TIMESTEPS, ALPHAS, 1.0))


@pytest.mark.parametrize(
    "changed, complaint",
    [
        ({"huber_over": "timestep"}, 'needs huber_schedule = "exponential" or "snr"'),
        ({"huber_end": 0.0}, "huber_end 0.0; both must be above 0"),
        ({"huber_curve": "cubic"}, "linear, cosine, exponential, step; got 'cubic'"),
        ({"huber_schedule": "cubic"}, "constant, exponential or snr; got 'cubic'"),
    ],
)
def test_what_makes_no_sense_is_refused(changed, complaint):
    with pytest.raises(PresetError, match=complaint):
        huber_threshold(settings(**changed), TIMESTEPS, ALPHAS, 0.5)
