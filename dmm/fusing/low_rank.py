"""Approximate a matrix by factors of low rank: by randomised subspace iteration, or exactly.

Randomised: Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithms 4.4
and 5.1. A few products with the matrix find the span of its strongest directions; the matrix within
that span is then decomposed exactly. It costs a tenth of the eigenvectors that the exact way needs.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from .weights import Factors

OVERSAMPLING = 16
"""Directions searched for beyond the rank."""
TOLERANCE = 1e-4
"""The search ends when another pass adds less than this share to what is kept."""
MOST_PASSES = 12
EXACT_BELOW = 4
"""Matrices with fewer rows or columns than this many times the directions are done exactly."""


def best_factors(delta: Float[Tensor, "out ..."], rank: int) -> tuple[Factors, float]:
    """Best factors of this rank (Eckart and Young 1936), and the sum of squares of their product.

    For small matrices, and for those of no higher rank, these are the factors of the truncated SVD.
    For others, their sum of squares fell short of the truncated SVD's by less than ``TOLERANCE`` on
    all spectra that ``benchmarks/unfuse.py`` tries. Both factors share the singular values evenly.
    """
    matrix = delta.flatten(1)
    wide = len(matrix) <= matrix.shape[1]
    tall = matrix.T if wide else matrix
    directions = rank + OVERSAMPLING
    if tall.shape[1] < EXACT_BELOW * directions:
        inner, strengths = _exact_directions(tall.double(), rank)
    else:
        inner, strengths = _found_directions(tall.float(), rank, directions)
    outer = tall.double() @ inner
    balance = strengths.clamp(min=1e-6 * float(strengths[0])).sqrt()
    up, down = (inner * balance, outer / balance) if wide else (outer / balance, inner * balance)
    up = up.reshape(len(matrix), rank, *[1] * (delta.ndim - 2))
    down = down.T.reshape(rank, *delta.shape[1:])
    return Factors(up.float(), down.float(), scale=1.0), float(strengths.square().sum())


def _exact_directions(
    tall: Float[Tensor, "rows columns"], rank: int
) -> tuple[Float[Tensor, "columns rank"], Float[Tensor, " rank"]]:
    """The strongest right singular vectors, and their singular values.

    They are eigenvectors of the Gram matrix, which is several times faster than an SVD. It squares
    the condition number: singular values below 1e-8 of the largest are lost, which double precision
    affords.
    """
    values, vectors = torch.linalg.eigh(tall.T @ tall)  # ascending
    return vectors[:, -rank:].flip(1), values[-rank:].flip(0).clamp(min=0).sqrt()


def _found_directions(
    tall: Float[Tensor, "rows columns"], rank: int, directions: int
) -> tuple[Float[Tensor, "columns rank"], Float[Tensor, " rank"]]:
    """The strongest right singular vectors within a span of more ``directions``, and their values.

    The span is found in single precision; the matrix within it is decomposed in double. Equal
    matrices give equal results.
    """
    start = torch.randn(len(tall), directions, generator=torch.Generator().manual_seed(0))
    basis, kept = _orthonormal(tall.T @ start), 0.0
    for _ in range(MOST_PASSES):
        left, triangle = torch.linalg.qr(tall @ basis)
        now = float(torch.linalg.svdvals(triangle)[:rank].square().sum())
        if now - kept <= TOLERANCE * now:
            break
        basis, kept = _orthonormal(tall.T @ left), now
    basis = _orthonormal(basis.double())
    _, strengths, rotation = torch.linalg.svd(tall.double() @ basis, full_matrices=False)
    return basis @ rotation[:rank].T, strengths[:rank]


def _orthonormal(columns: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    return torch.linalg.qr(columns).Q
