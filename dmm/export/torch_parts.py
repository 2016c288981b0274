"""Run PyTorch's networks as a bundle's parts: NumPy in, NumPy out, in fp32."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from .traceable_parts import Part


@torch.no_grad()
def run_part(part: Part, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """A part's outputs, computed in float32 for weights of any precision."""
    device = next(part.network.parameters()).device
    tensors = [torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in part.inputs]
    with _in_single_precision(part.network):
        found = part.network(*(tensor.to(device) for tensor in tensors))
    outputs = found if isinstance(found, tuple) else (found,)
    return [output.float().cpu().numpy() for output in outputs]


@contextmanager
def _in_single_precision(network: nn.Module) -> Iterator[None]:
    """Widen each layer's weights while it runs, so only one layer is in memory twice."""
    narrow = [m for m in network.modules() if _is_half_precision(m)]
    kept: dict[nn.Module, dict[str, nn.Parameter]] = {}

    def widen(module: nn.Module, _: object) -> None:
        kept[module] = dict(module.named_parameters(recurse=False))
        for name, parameter in kept[module].items():
            setattr(module, name, nn.Parameter(parameter.float(), requires_grad=False))

    def restore(module: nn.Module, *_: object) -> None:
        for name, parameter in kept.pop(module).items():
            setattr(module, name, parameter)

    hooks = [module.register_forward_pre_hook(widen) for module in narrow]
    hooks += [module.register_forward_hook(restore) for module in narrow]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _is_half_precision(module: nn.Module) -> bool:
    own = list(module.parameters(recurse=False))
    return any(parameter.dtype != torch.float32 for parameter in own)
