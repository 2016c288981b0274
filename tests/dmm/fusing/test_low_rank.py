"""Low-rank factors are those of the truncated SVD, or nearly so at a tenth of its time."""

import pytest
import torch

from dmm.fusing.low_rank import EXACT_BELOW, OVERSAMPLING, TOLERANCE, best_factors

LARGE = (200, 170)
"""A size at which directions up to rank 20 are found by random products."""


def rotated(strengths, rows, columns, seed=0):
    """A matrix with these singular values in random directions."""
    generator = torch.manual_seed(seed)
    u, v = (
        torch.linalg.qr(torch.randn(side, len(strengths), generator=generator)).Q
        for side in (rows, columns)
    )
    return (u * strengths) @ v.T


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (24, 16, 3, 3), (40, 2, 3, 3), (8, 6, 1, 1)])
def test_the_strongest_directions_are_those_of_the_truncated_svd(size):
    delta = torch.randn(size, generator=torch.manual_seed(0))
    factors, kept = best_factors(delta, 5)
    u, s, v = torch.linalg.svd(delta.double().flatten(1), full_matrices=False)
    expected = ((u[:, :5] * s[:5]) @ v[:5]).reshape(size)
    assert (factors.delta() - expected).abs().max() < 1e-5
    assert kept == pytest.approx(float(s[:5].square().sum()))
    assert factors.down.shape == (5, *size[1:]) and factors.up.shape[:2] == (size[0], 5)


def test_the_strength_is_shared_evenly_by_both_factors():
    factors, _ = best_factors(torch.diag(torch.tensor([4.0, 9.0, 1.0])), 2)
    assert factors.up.norm(dim=0).tolist() == pytest.approx([3, 2])
    assert factors.down.norm(dim=1).tolist() == pytest.approx([3, 2])


def test_directions_that_are_not_there_stay_empty():
    delta = torch.outer(torch.arange(5.0), torch.arange(7.0))
    factors, kept = best_factors(delta, 4)
    assert torch.allclose(factors.delta(), delta, atol=1e-5) and kept == pytest.approx(30 * 91)


@pytest.mark.parametrize("size", [LARGE, LARGE[::-1]])
@pytest.mark.parametrize("falls", ["not", "slowly", "fast"])
def test_a_random_search_keeps_nearly_as_much_as_the_truncated_svd(size, falls):
    number = torch.arange(1.0, 1 + min(LARGE))
    strengths = {"not": number**0, "slowly": number**-0.5, "fast": torch.exp(-number / 20)}[falls]
    assert min(LARGE) >= EXACT_BELOW * (16 + OVERSAMPLING)
    delta = rotated(strengths, *size)
    factors, kept = best_factors(delta, 16)
    best = float(strengths[:16].double().square().sum())
    assert best * (1 - TOLERANCE) <= kept <= best * (1 + 1e-5)
    lost = float((delta - factors.delta()).double().square().sum())
    assert lost == pytest.approx(
        float(strengths.double().square().sum()) - kept, rel=1e-3, abs=1e-5
    )


def test_a_random_search_finds_a_low_rank_exactly_below_rounding_noise():
    change = rotated(torch.linspace(3, 1, 8), *LARGE)
    base = torch.randn(LARGE, generator=torch.manual_seed(1))
    noisy = (base + change).half().float() - base.half().float()
    factors, _ = best_factors(noisy, 8)
    assert (factors.delta() - change).norm() < (noisy - change).norm() / 2
    exact, _ = best_factors(change, 12)
    assert (exact.delta() - change).abs().max() < 1e-6


def test_equal_matrices_give_equal_factors_whatever_was_random_before():
    delta = rotated(torch.ones(LARGE[1]), *LARGE)
    first, _ = best_factors(delta, 16)
    torch.manual_seed(123)
    second, _ = best_factors(delta, 16)
    assert first.up.equal(second.up) and first.down.equal(second.down)
