from itertools import pairwise

import pytest
import torch

from dmm.distillation.few_steps.schedule import FewStepSchedule
from dmm.distillation.losses import errors, timestep_weights
from dmm.distillation.noise_schedule import NoiseSchedule

BOTH = pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])


def _latents(seed):
    return torch.randn(3, 2, 4, 4, generator=torch.manual_seed(seed))


def _gaussian(noise_schedule, spread):
    """The exact UNet of clips that are Gaussian noise of a known spread: in closed form."""

    def predict(noisy, at):
        signal, noise = noise_schedule.signal_and_noise_factors(at)
        share = signal * spread**2 / (signal**2 * spread**2 + noise**2)
        return noise_schedule.prediction_of(share * noisy, noisy, at)

    return predict


@BOTH
def test_the_exact_prediction_gives_back_the_clean_latents(kind):
    noise_schedule, clean, noise = NoiseSchedule.of(kind), _latents(0), _latents(1)
    at = torch.tensor([10, 500, 999])
    noisy = noise_schedule.add_noise(clean, noise, at)
    target = noise_schedule.exact_prediction(clean, noise, at)
    assert torch.allclose(noise_schedule.clean_latents(target, noisy, at), clean, atol=1e-4)
    assert torch.allclose(noise_schedule.prediction_of(clean, noisy, at), target, atol=1e-4)


def test_a_step_to_another_timestep_keeps_clean_latents_and_noise():
    noise_schedule, clean, noise = NoiseSchedule.of("epsilon"), _latents(0), _latents(1)
    at, after = torch.tensor([900] * 3), torch.tensor([400] * 3)
    moved = noise_schedule.ddim_step(clean, noise_schedule.add_noise(clean, noise, at), at, after)
    assert torch.allclose(moved, noise_schedule.add_noise(clean, noise, after), atol=1e-5)
    assert torch.equal(noise_schedule.add_noise(clean, noise, -torch.ones(3).long()), clean)


@BOTH
def test_what_is_taught_leads_in_one_step_to_where_many_steps_lead(kind):
    schedule = FewStepSchedule.trailing(NoiseSchedule.of(kind), 4)
    teacher, noisy = _gaussian(schedule.noise_schedule, 0.5), _latents(2)
    for number in range(4):
        wanted = schedule.teacher_target(teacher, noisy, number, 8)
        ended = schedule.step(
            lambda *_, p=wanted: p,
            noisy,
            schedule.timesteps[number],
            schedule.next_timestep(number),
        )
        way = noisy
        first, last = schedule.timesteps[number], schedule.next_timestep(number)
        points = torch.linspace(first, last, 9).round().long().tolist()
        for start, end in pairwise(points):
            way = schedule.step(teacher, way, start, end)
        assert torch.allclose(ended, way, atol=1e-4)


def test_one_pass_teaches_the_teachers_own_prediction():
    schedule = FewStepSchedule.trailing(NoiseSchedule.of("v_prediction"), 4)
    teacher, noisy = _gaussian(schedule.noise_schedule, 0.5), _latents(3)
    at = torch.full((3,), schedule.timesteps[1])
    assert torch.allclose(
        schedule.teacher_target(teacher, noisy, 1, 1), teacher(noisy, at), atol=1e-4
    )


def test_more_passes_come_nearer_to_the_exact_flow():
    schedule = FewStepSchedule.trailing(NoiseSchedule.of("v_prediction"), 1)
    teacher, noise = _gaussian(schedule.noise_schedule, 0.5), _latents(4)
    signal, spread = (
        level[0].item()
        for level in schedule.noise_schedule.signal_and_noise_factors(torch.tensor([999]))
    )
    exact = noise * 0.5 / (signal**2 * 0.25 + spread**2) ** 0.5  # the flow keeps quantiles
    off = []
    for passes in (4, 64):
        wanted = schedule.teacher_target(teacher, noise, 0, passes)
        ended = schedule.step(lambda *_, p=wanted: p, noise, 999, -1)
        off.append((ended - exact).abs().max().item())
    assert off[1] < off[0] / 5


def test_rungs_are_those_of_the_sampler():
    from dmm.checkpoints.pipeline import SCHEDULER
    from dmm.generation.sampling import make_scheduler

    scheduler = make_scheduler("ddim-trailing", SCHEDULER)
    for steps in (1, 2, 4, 8):
        scheduler.set_timesteps(steps)
        assert FewStepSchedule.trailing(NoiseSchedule.of("epsilon"), steps).timesteps == tuple(
            scheduler.timesteps.tolist()
        )


def test_our_step_is_the_samplers():
    from dmm.checkpoints.pipeline import SCHEDULER
    from dmm.generation.sampling import make_scheduler

    scheduler = make_scheduler("ddim-trailing", {**SCHEDULER, "prediction_type": "v_prediction"})
    scheduler.set_timesteps(4)
    schedule, noisy = FewStepSchedule.trailing(NoiseSchedule.of("v_prediction"), 4), _latents(5)
    for number, timestep in enumerate(scheduler.timesteps):
        found = _latents(6 + number)
        theirs = scheduler.step(found, timestep, noisy, return_dict=False)[0]
        ours = schedule.step(
            lambda *_, p=found: p, noisy, int(timestep), schedule.next_timestep(number)
        )
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_huber_is_a_square_below_its_threshold_and_a_line_above():
    small, large = torch.tensor([[1e-3]]), torch.tensor([[100.0]])
    assert errors(small, 0 * small, 0.1).item() == pytest.approx(1e-6, rel=1e-3)
    assert errors(large, 0 * large, 0.1).item() == pytest.approx(2 * 0.1 * 100, rel=1e-2)


def test_min_snr_weighs_velocity_as_the_clean_latents_error():
    snr = torch.tensor([0.1, 5.0, 20.0])
    weights = timestep_weights("min-snr", snr, "v_prediction")
    assert weights.tolist() == pytest.approx([0.1 / 1.1, 5 / 6, 5 / 21])
    assert timestep_weights("uniform", snr, "epsilon").tolist() == [1, 1, 1]
