"""Muon: momentum whose matrices are made orthogonal before each step, AdamW for all other weights.

Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the scale of the steps is that of Liu
et al. 2025 (https://arxiv.org/abs/2502.16982), so that a learning rate means the same at every
width. torch.optim.Muon takes matrices alone, one at a time; here kernels of convolutions are
matrices too (out, in · rows · columns), and those of one size are made orthogonal together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
STEP_SIZE = 0.2
"""Root mean square of a step at learning rate 1, about what AdamW's steps have."""
ADAM_SHARE = 0.2
"""AdamW's learning rate for the other weights, of Muon's."""
ENDS = ("conv_in.", "conv_out.")
"""First and last layers, which AdamW trains: their rows or columns are no features."""


class Muon(torch.optim.Optimizer):
    """Takes groups with ``kind`` ``muon`` or ``adam``, as ``muon_groups`` makes them.

    In a group without ``kind``, as sd-scripts makes them, AdamW trains biases and norms only.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
        weight_decay: float = 0.01,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change every weight that has a gradient."""
        for group in self.param_groups:
            learning = [weight for weight in group["params"] if weight.grad is not None]
            kinds: dict[str, list[Tensor]] = {"muon": [], "adam": []}
            for weight in learning:
                kinds[group.get("kind") or _optimizer_kind(weight)].append(weight)
            self._step_muon(group, kinds["muon"])
            self._step_adam(group, kinds["adam"])

    def _step_muon(self, group: Mapping[str, Any], weights: list[Tensor]) -> None:
        by_size: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight in weights:
            state, gradient = self.state[weight], weight.grad
            assert gradient is not None
            average = state.setdefault("momentum", torch.zeros_like(weight))
            average.lerp_(gradient, 1 - group["momentum"])
            matrix = gradient.lerp(average, group["momentum"]).flatten(1)
            by_size[matrix.shape].append((weight, matrix))
        for (rows, columns), alike in by_size.items():
            directions = orthogonalize(torch.stack([matrix for _, matrix in alike]))
            size = group["lr"] * STEP_SIZE * max(rows, columns) ** 0.5
            for (weight, _), direction in zip(alike, directions, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(direction.reshape(weight.shape), alpha=-size)

    def _step_adam(self, group: Mapping[str, Any], weights: list[Tensor]) -> None:
        if not weights:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        for weight in weights:
            state = self.state[weight]
            state.setdefault("mean", torch.zeros_like(weight))
            state.setdefault("square", torch.zeros_like(weight))
            state["steps"] = state.get("steps", 0) + 1
        means = [self.state[weight]["mean"] for weight in weights]
        squares = [self.state[weight]["square"] for weight in weights]
        first, second = group["betas"]
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        taken = self.state[weights[0]]["steps"]
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, (1 - second**taken) ** 0.5)
        torch._foreach_add_(roots, 1e-8)
        torch._foreach_addcdiv_(weights, means, roots, -group["lr"] / (1 - first**taken))


def _optimizer_kind(weight: Tensor) -> str:
    return "muon" if weight.ndim > 1 else "adam"


@torch.no_grad()
def orthogonalize(matrices: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """The nearest matrices whose singular values lie about 1 (.7 to 1.2), by Newton and Schulz."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16()
    is_tall = x.shape[1] > x.shape[2]
    x = (x.mT if is_tall else x).contiguous()
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] * 1.01 + 1e-7)
    for _ in range(STEPS):
        square = torch.bmm(x, x.mT)
        polynomial = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return (x.mT if is_tall else x).to(matrices.dtype)


def muon_groups(factors: Mapping[str, float], model: nn.Module) -> list[dict[str, Any]]:
    """Groups of the weights that learn: matrices and kernels for Muon, the rest for AdamW.

    ``factors`` maps children of the model to a factor on the learning rate, as in ``fit``.
    """
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    found: dict[tuple[str, float], list[nn.Parameter]] = defaultdict(list)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            is_inner = weight.ndim > 1 and id(weight) not in tables
            is_matrix = is_inner and not any(end in name for end in ENDS)
            factor = factors.get(name.split(".")[0], 1.0)
            found["muon" if is_matrix else "adam", factor].append(weight)
    return [
        {
            "params": weights,
            "kind": kind,
            "factor": factor * (1.0 if kind == "muon" else ADAM_SHARE),
        }
        for (kind, factor), weights in found.items()
    ]
