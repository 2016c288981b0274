"""Squared or Huber errors of predictions, and their weights by timestep."""

import torch
from jaxtyping import Float
from torch import Tensor

MIN_SNR_GAMMA = 5.0


def errors(found: Tensor, wanted: Tensor, huber: float = 0.0) -> Float[Tensor, " n"]:
    """Mean error of each row: squared, or pseudo-Huber with this threshold.

    >>> errors(torch.tensor([[3.0]]), torch.tensor([[0.0]])).item()
    9.0
    """
    square = (found.float() - wanted.float()).square()
    if huber:
        square = 2 * huber * ((square + huber**2).sqrt() - huber)
    return square.flatten(1).mean(1)


def timestep_weights(
    weighting: str, snr: Float[Tensor, " n"], prediction_type: str
) -> Float[Tensor, " n"]:
    """Loss weights: 1, or those of min-SNR (https://arxiv.org/abs/2303.09556)."""
    if weighting == "uniform":
        return torch.ones_like(snr)
    capped = snr.clamp(max=MIN_SNR_GAMMA)
    return capped / snr if prediction_type == "epsilon" else capped / (snr + 1)
