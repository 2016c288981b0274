"""Initialise a student's UNet from its teacher: block removal and channel selection.

Blocks are mapped by ``map_blocks``. A narrower student keeps the teacher's most important channels:
importance is the sum of squares of all weights that touch a channel. Channels are selected once for
all weights that share them (``unet_channels``). This is the weight inheritance of TinyCLIP
(https://arxiv.org/abs/2309.12314). Weights without a counterpart stay random.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import PresetError
from .block_map import map_blocks
from .unet_channels import Axes, Axis, axes_of


@torch.no_grad()
def inherit_weights(student: Any, teacher: Any) -> list[str]:
    """Copy weights from the teacher's UNet, in place; returns the names of those without a source.

    PresetError if the student is wider than its teacher anywhere.
    """
    names = map_blocks(student, teacher)
    ours, theirs = axes_of(student), axes_of(teacher)
    weights = dict(teacher.named_parameters())
    importance = _channel_importance(weights, theirs)
    kept: dict[tuple[str, str], Tensor] = {}
    fresh = []
    for name, parameter in student.named_parameters():
        counterpart = _teacher_weight_name(name, names)
        if counterpart not in weights or name not in ours or counterpart not in theirs:
            fresh.append(name)
            continue
        tensor = weights[counterpart].float()
        pairs = list(zip(ours[name], theirs[counterpart], strict=True))
        if any(len(own) != len(other) for own, other in pairs):
            fresh.append(name)
            continue
        for dim, (own, other) in enumerate(pairs):
            index = _kept_indices(own, other, importance, kept, name)
            tensor = tensor.index_select(dim, index.to(tensor.device))
        parameter.copy_(tensor)
    return fresh


def _teacher_weight_name(name: str, names: Mapping[str, str]) -> str | None:
    """The teacher's name of a student's weight, by its longest mapped module."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:length])
        if module in names:
            return ".".join([names[module], *parts[length:]])
    return None


def _channel_importance(
    weights: Mapping[str, Tensor], axes: Axes
) -> dict[str, Float[Tensor, " channels"]]:
    """Importance of each channel, by channel group."""
    found: dict[str, Tensor] = {}
    for name, own in axes.items():
        square = weights[name].float().square().cpu()
        for dim, axis in enumerate(own):
            rows = square.movedim(dim, 0).reshape(square.shape[dim], -1).sum(1)
            start = 0
            for group in axis:
                part = rows[start : start + group.size]
                found[group.name] = found.get(group.name, torch.zeros(group.size)) + part
                start += group.size
    return found


def _kept_indices(
    own: Axis,
    other: Axis,
    importance: Mapping[str, Tensor],
    kept: dict[tuple[str, str], Tensor],
    name: str,
) -> Int[Tensor, " channels"]:
    """Indices along one of the teacher's axes that become the student's."""
    parts, start = [], 0
    for ours, theirs in zip(own, other, strict=True):
        if ours.size > theirs.size:
            raise PresetError(
                f"{name}: the student has {ours.size} channels, its teacher {theirs.size}; set "
                'start = "fresh", or choose a narrower student'
            )
        key = ours.name, theirs.name
        if key not in kept:
            kept[key] = ours.kept_indices(theirs, importance[theirs.name])
        parts.append(start + kept[key])
        start += theirs.size
    return torch.cat(parts)


def inherited_share(student: Any, fresh: list[str]) -> float:
    """Share of a student's weights that come from its teacher, 0..1."""
    sizes: dict[bool, int] = defaultdict(int)
    for name, parameter in student.named_parameters():
        sizes[name in fresh] += parameter.numel()
    return sizes[False] / sum(sizes.values())
