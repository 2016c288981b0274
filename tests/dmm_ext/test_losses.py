"""Spectrogram losses against closed forms: constants, ramps, checkerboards, sinusoids."""

import math
from argparse import Namespace
from types import SimpleNamespace

import pytest
import torch

from dmm.errors import PresetError
from dmm_ext import losses

pytestmark = pytest.mark.filterwarnings("ignore")  # the engine's own, when it is imported

ALPHAS = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).cumprod(0)
ROWS, COLUMNS = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
CHECKERBOARD = (-1) ** (ROWS + COLUMNS)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def settings(**changed):
    defaults = {"gradient_weight": 0.0, "multires_weight": 0.0, "mel_tilt": 0.0, "snr_gate": None}
    return Namespace(**defaults | {"loss_type": "l2"} | changed)


def clips(*patterns):
    """Latents of four equal channels, (len(patterns), 4, 16, 24)."""
    return torch.stack(patterns)[:, None].repeat(1, 4, 1, 1)


def test_differences_of_a_constant_are_zero_and_of_a_checkerboard_whole():
    found = losses.gradient_loss(clips(torch.full_like(ROWS, 0.7), 0.7 * CHECKERBOARD))
    assert found.tolist() == pytest.approx([0, 0.49])


def test_a_ramp_counts_its_slope_in_its_own_direction():
    time, mel, both = 0.6 * COLUMNS, 0.2 * ROWS, 0.6 * COLUMNS + 0.2 * ROWS
    expected = [0.3**2 / 2, 0.1**2 / 2, (0.3**2 + 0.1**2) / 2]
    assert losses.gradient_loss(clips(time, mel, both)).tolist() == pytest.approx(expected)


def test_squares_keep_a_constant_and_cancel_a_checkerboard():
    found = losses.multires_loss(clips(torch.full_like(ROWS, 0.7), 0.7 * CHECKERBOARD))
    assert found.tolist() == pytest.approx([0.49, 0])


def test_a_block_of_four_survives_squares_of_two_and_four_but_not_of_eight():
    blocks = (-1) ** (ROWS // 4 + COLUMNS // 4)
    found = [losses.multires_loss(clips(blocks), (scale,)).item() for scale in (2, 4, 8)]
    assert found == pytest.approx([1, 1, 0])
    assert losses.multires_loss(clips(blocks)).item() == pytest.approx(2 / 3)


def test_squares_that_stick_out_average_what_is_inside():
    assert losses.multires_loss(torch.ones(1, 4, 9, 11), (4,)).item() == pytest.approx(1)


def test_a_scale_wider_than_the_latents_is_refused():
    with pytest.raises(ValueError, match="scale 32 exceeds latents of 16 x 24"):
        losses.multires_loss(clips(ROWS), (2, 32))


@pytest.mark.parametrize("tilt", [-1.5, 0.0, 2.0])
def test_row_weights_average_one_and_grow_by_e_to_the_tilt_down_to_the_lowest_row(tilt):
    weights = losses.mel_row_weights(16, tilt)
    assert weights.mean().item() == pytest.approx(1)
    assert (weights[-1] / weights[0]).item() == pytest.approx(math.exp(tilt))
    steps = weights.log().diff()
    torch.testing.assert_close(steps, torch.full((15,), tilt / 15))


def test_an_absurd_tilt_weights_one_row_alone():
    assert losses.mel_row_weights(16, 5000.0).tolist() == [0.0] * 15 + [16.0]


def test_the_gate_opens_at_the_timesteps_it_says():
    open_at = [int(losses.snr_gate(torch.arange(1000), ALPHAS, g).sum()) for g in (5, 1, 0.1)]
    assert open_at == [147, 354, 687]
    equal = losses.snr_gate(torch.arange(3), torch.tensor([0.75, 0.5, 0.0]), 1.0)
    assert equal.tolist() == [1, 1, 0]


@pytest.mark.parametrize("loss_type", ["l1", "l2", "huber", "smooth_l1"])
def test_the_measure_is_the_engines_loss(inside_engine, loss_type):
    from library import train_util

    residual, threshold = torch.randn(3, 4, 5, 6), torch.tensor([0.05, 0.15, 1.0])
    zeros = torch.zeros_like(residual)
    theirs = train_util.conditional_loss(residual, zeros, loss_type, "none", threshold)
    ours = losses.make_measure(loss_type, threshold)(residual)
    torch.testing.assert_close(ours, theirs.mean((1, 2, 3)))


@pytest.mark.parametrize("loss", [losses.gradient_loss, losses.multires_loss])
def test_after_the_engines_min_snr_noise_and_v_weight_the_error_of_clean_latents_equally(
    inside_engine, loss
):
    from library.custom_train_functions import apply_snr_weight

    timesteps, gamma = torch.tensor([10, 300, 600, 999]), 5.0
    alphas = ALPHAS.double()[timesteps].view(-1, 1, 1, 1)
    a, s, snr = alphas.sqrt(), (1 - alphas).sqrt(), (alphas / (1 - alphas)).flatten()
    clean, noise, guess = (torch.randn(4, 4, 16, 24, dtype=torch.double) for _ in range(3))
    noise_meant = (a * clean + s * noise - a * guess) / s  # what stands for this guess
    errors = noise_meant - noise, (a * noise_meant - s * guess) - (a * noise - s * clean)
    scheduler = SimpleNamespace(all_snr=ALPHAS.double() / (1 - ALPHAS.double()))
    expected = (snr.clamp(max=gamma) * loss(guess - clean)).float()
    for error, is_v in zip(errors, (False, True), strict=True):
        found = apply_snr_weight(loss(error), timesteps, scheduler, gamma, is_v)
        torch.testing.assert_close(found.float(), expected)


def test_nothing_is_computed_while_all_weights_are_zero():
    args = settings(mel_tilt=1.0, snr_gate=1.0)
    assert not losses.has_added_losses(args)
    assert losses.weighted_added_losses(clips(ROWS), torch.tensor([5]), ALPHAS, args) is None
    assert losses.main_loss_weight_map(16, torch.tensor([5]), ALPHAS, settings()) is None


def extra(residual, timesteps, args, **named):
    found = losses.weighted_added_losses(residual, timesteps, ALPHAS, args, **named)
    assert found is not None
    return found


def test_the_sum_is_weighted_and_gated_for_each_clip():
    args = settings(gradient_weight=2.0, multires_weight=3.0, snr_gate=1.0)
    residual = clips(CHECKERBOARD, torch.ones_like(ROWS), CHECKERBOARD)
    timesteps = torch.tensor([0, 300, 999])  # the last is below the gate
    assert extra(residual, timesteps, args).tolist() == pytest.approx([2, 3, 0])


def test_each_clip_has_the_threshold_of_its_own():
    args, d = settings(multires_weight=1.0, loss_type="huber"), torch.tensor([0.05, 0.5])
    ones = clips(torch.ones_like(ROWS), torch.ones_like(ROWS))
    found = extra(ones, torch.tensor([5, 5]), args, threshold=d)
    assert found.tolist() == pytest.approx([2 * x * (math.hypot(1, x) - x) for x in (0.05, 0.5)])


def test_clips_do_not_see_each_other_and_every_latent_gets_a_gradient():
    args = settings(gradient_weight=1.0, multires_weight=1.0)
    residual = torch.randn(3, 4, 16, 24, requires_grad=True)
    timesteps = torch.tensor([5, 500, 900])
    together = extra(residual, timesteps, args)
    alone = [extra(residual[[n]], timesteps[[n]], args) for n in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
    together[1].backward()
    assert residual.grad is not None
    assert (residual.grad[1] != 0).all() and not residual.grad[[0, 2]].any()


def test_a_smooth_error_gets_no_gradient_from_differences():
    residual = torch.full((1, 4, 16, 24), 0.3, requires_grad=True)
    losses.gradient_loss(residual).sum().backward()
    assert residual.grad is not None and not residual.grad.any()


def test_masked_latents_have_no_weight_and_are_no_error():
    args = settings(mel_tilt=1.0, gradient_weight=1.0, multires_weight=1.0)
    unmasked = torch.ones(2, 1, 16, 24)
    unmasked[0, :, :, 5:11] = 0
    weights = losses.main_loss_weight_map(16, torch.tensor([5, 5]), ALPHAS, args, unmasked)
    assert weights is not None and not weights[0, :, :, 5:11].any()
    assert weights.mean((1, 2, 3)).tolist() == pytest.approx([1, 1])
    torch.testing.assert_close(weights[1, 0].mean(1), losses.mel_row_weights(16, 1.0))
    residual = clips(torch.zeros_like(ROWS), CHECKERBOARD)
    residual[0, ..., 5:11] = 9.0
    found = extra(residual, torch.tensor([5, 5]), args, weight_map=weights)
    assert found[0] == 0 and found[1] > 0


def test_a_closed_gate_weights_all_rows_equally():
    args = settings(mel_tilt=1.0, snr_gate=1.0)
    weights = losses.main_loss_weight_map(16, torch.tensor([0, 999]), ALPHAS, args)
    assert weights is not None and weights.shape == (2, 1, 16, 1)
    torch.testing.assert_close(weights[0].flatten(), losses.mel_row_weights(16, 1.0))
    assert (weights[1] == 1).all()


def test_a_negative_weight_is_refused():
    with pytest.raises(PresetError, match="multires_weight is -1"):
        extra(clips(ROWS), torch.tensor([5]), settings(multires_weight=-1))
