"""Feature distillation: the student's features, projected to the teacher's width, match its own.

Outputs of self-attention are the most valuable ones (KOALA, https://arxiv.org/abs/2312.04005).
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .losses import errors


@contextmanager
def recording_outputs(network: Any, names: Sequence[str]) -> Iterator[list[Tensor]]:
    """Record the outputs of modules within the block, as a list in the order of ``names``.

    Each is (n, channels, positions), for feature maps and tokens alike.
    """
    outputs: dict[str, Tensor] = {}
    found: list[Tensor] = []
    with ExitStack() as stack:
        for name in names:

            def keep(_module: Any, _inputs: Any, output: Any, name: str = name) -> None:
                outputs[name] = output[0] if isinstance(output, tuple) else output
                if len(outputs) == len(names):
                    found[:] = [_channels_second(outputs[key]) for key in names]

            handle = network.get_submodule(name).register_forward_hook(keep)
            stack.callback(handle.remove)
        yield found


class Projections(nn.Module):
    """One linear layer for each pair of modules, from the student's width to the teacher's."""

    def __init__(self, widths: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(ours, theirs) for ours, theirs in widths)

    def errors(self, ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Float[Tensor, " n"]:
        """Mean squared error of each row over all pairs, relative to the teacher's variance."""
        found = []
        for layer, own, other in zip(self.layers, ours, theirs, strict=True):
            projected = layer(own.transpose(1, 2)).transpose(1, 2)
            wanted = other.to(projected.device)
            scale = wanted.float().var().clamp(min=1e-6)
            found.append(errors(projected, wanted) / scale)
        return torch.stack(found).mean(0)


def output_widths(network: Any, names: Sequence[str]) -> list[int]:
    """Numbers of channels of the modules' outputs."""
    return [_output_width(network.get_submodule(name)) for name in names]


def _output_width(module: Any) -> int:
    if hasattr(module, "to_out"):  # attention
        return module.to_out[0].out_features
    return module.resnets[-1].out_channels  # a block


def _channels_second(output: Tensor) -> Tensor:
    return output.flatten(2) if output.ndim == 4 else output.transpose(1, 2)
