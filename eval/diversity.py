"""How varied one set of clips is: mean pairwise cosine distance, and participation ratio."""

import numpy as np
from jaxtyping import Float


def embedding_diversity(x: Float[np.ndarray, "n dim"]) -> float:
    """Mean of ``1 - cosine`` over all pairs of different rows; ``x`` has unit rows.

    Higher is more varied: 0 for equal rows, 1 for orthogonal ones. For unit rows this is also the
    trace of the sample covariance, so the trace is no second opinion. Unbiased in ``n``. Raises
    ValueError below two rows.

    >>> embedding_diversity(np.eye(3))
    1.0
    """
    n = len(x)
    if n < 2:
        raise ValueError(f"a distance between clips needs 2 or more embeddings; got {n}")
    total = x.sum(0, dtype=np.float64)
    own = np.square(x, dtype=np.float64).sum()
    return float(1 - (total @ total - own) / (n * (n - 1)))


def participation_ratio(x: Float[np.ndarray, "n dim"]) -> float:
    """Effective number of directions the set varies in: (tr S)² / tr S², S the covariance.

    Higher is more varied; independent of the spread's size. Numerator and denominator are the
    unbiased estimates of ``_unbiased_traces``, without which the ratio cannot exceed ``n - 1``.
    Raises ValueError below four rows, or if there is no spread to speak of.
    """
    n = len(x)
    if n < 4:
        raise ValueError(f"a participation ratio needs 4 or more embeddings; got {n}")
    centred = x - x.mean(0, dtype=np.float64)
    gram = centred @ centred.T
    trace, square_trace = _unbiased_traces(gram, n)
    if square_trace <= 1e-12:
        raise ValueError(f"these {n} embeddings hardly vary: they span no measurable direction")
    return float(trace / square_trace)


def _unbiased_traces(gram: Float[np.ndarray, "n n"], n: int) -> tuple[float, float]:
    """Unbiased estimates of (tr S)² and tr S² from the Gram matrix of mean-centred rows.

    Combines the three plug-in sums whose expectations hold those two and the fourth moment
    (Himeno and Yamada 2014), so no Gaussian shape is assumed.
    """
    trace = np.trace(gram) / (n - 1)
    square = np.square(gram).sum() / (n - 1) ** 2
    fourth = np.square(np.diag(gram)).sum() / (n - 1)
    scale = (n - 1) / (n * (n - 2) * (n - 3))
    of_square = scale * ((n - 1) * (n - 2) * square + trace**2 - n * fourth)
    of_trace = scale * (2 * square + (n * n - 3 * n + 1) * trace**2 - n * fourth)
    return float(of_trace), float(of_square)
