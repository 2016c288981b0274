"""Masks in latent space: where they are, what stands in them, what the loss leaves out."""

import pytest
import torch

from dmm.errors import PresetError
from dmm_ext.spec_augment import _strip_mask, mask_strips


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_masked_latents_have_the_clips_channel_mean_and_weight_nothing(generator):
    latents = torch.randn(32, 4, 16, 24)
    masked, weights = mask_strips(latents, 1.0, 0.4, 0.4, generator)
    assert weights is not None and weights.shape == (32, 1, 16, 24)
    hidden = (weights == 0).expand_as(latents)
    means = latents.mean((2, 3), keepdim=True).expand_as(latents)
    assert hidden.any() and torch.equal(masked[hidden], means[hidden])
    assert torch.equal(masked[~hidden], latents[~hidden])


def test_weights_average_one_in_every_clip_and_are_equal_where_unmasked(generator):
    _, weights = mask_strips(torch.randn(64, 4, 16, 24), 0.5, 0.6, 0.6, generator)
    assert weights is not None
    torch.testing.assert_close(weights.mean((1, 2, 3)), torch.ones(64))
    for clip in weights:
        assert len(clip[clip > 0].unique()) == 1


def test_what_is_masked_is_one_strip_of_time_and_one_of_mel_no_wider_than_asked(generator):
    _, weights = mask_strips(torch.randn(200, 4, 20, 40), 1.0, 0.25, 0.5, generator)
    assert weights is not None
    widest = [0, 0]
    for hidden in weights[:, 0] == 0:
        columns, rows = hidden.all(0), hidden.all(1)
        assert torch.equal(hidden, columns[None, :] | rows[:, None])
        for axis, strip in enumerate((columns, rows)):
            places = strip.nonzero().flatten()
            assert len(places) == 0 or len(places) == places[-1] - places[0] + 1
            widest[axis] = max(widest[axis], len(places))
    assert widest == [10, 10]  # a quarter of 40 frames, half of 20 rows


def test_the_share_is_that_of_the_clips(generator):
    # A chosen clip stays whole if both widths are 0, which is once in 9 * 6.
    _, weights = mask_strips(torch.randn(4000, 1, 40, 25), 0.3, 0.2, 0.2, generator)
    assert weights is not None
    touched = (weights == 0).flatten(1).any(1).float().mean().item()
    assert touched == pytest.approx(0.3 * (1 - 1 / 54), abs=0.03)


def test_every_place_is_as_likely(generator):
    numbers = torch.rand(2, 20_000, 1, generator=generator)
    width_two = torch.full_like(numbers[0], 0.99)
    found = _strip_mask(10, 0.2, width_two, numbers[1]).float().mean(0)
    expected = torch.tensor([1.0] + [2.0] * 8 + [1.0]) / 9  # nine places, two columns each
    torch.testing.assert_close(found, expected, atol=0.015, rtol=0)


def test_the_largest_random_number_stays_inside():
    last = torch.full((1, 1), 1 - 2**-24)
    for size in (2, 31, 128, 129, 4096):
        strip = _strip_mask(size, 0.999, last, last)
        assert strip.sum() == int(0.999 * size) and (not strip.any() or strip[0, -1])


def test_a_share_of_zero_draws_nothing_and_changes_nothing():
    latents, before = torch.randn(2, 4, 8, 8), torch.get_rng_state()
    same, weights = mask_strips(latents, 0.0)
    assert same is latents and weights is None
    assert torch.equal(torch.get_rng_state(), before)


def test_a_seed_repeats_and_no_clip_depends_on_what_is_in_it():
    masks = []
    for latents in (torch.randn(4, 4, 16, 16), torch.zeros(4, 4, 16, 16)):
        torch.manual_seed(3)
        masks.append(mask_strips(latents, 1.0, 0.4, 0.4)[1])
    assert torch.equal(*masks)


def test_the_latents_given_stay_as_they_are(generator):
    latents = torch.randn(4, 4, 16, 16)
    copy = latents.clone()
    masked, _ = mask_strips(latents, 1.0, 0.4, 0.4, generator)
    assert torch.equal(latents, copy) and not torch.equal(masked, copy)


def test_half_precision_stays_half(generator):
    masked, weights = mask_strips(torch.randn(4, 4, 16, 16).bfloat16(), 1.0, 0.4, 0.4, generator)
    assert masked.dtype == torch.bfloat16 and weights is not None
    assert weights.dtype == torch.float32


@pytest.mark.parametrize(
    "shares, complaint",
    [((1.5,), "spec_augment is 1.5"), ((0.5, 1.0), "time is 1.0"), ((0.5, 0.2, -0.1), "mel -0.1")],
)
def test_shares_out_of_range_are_refused(shares, complaint):
    with pytest.raises(PresetError, match=complaint):
        mask_strips(torch.zeros(1, 4, 8, 8), *shares)
