"""The channels along each axis of each UNet weight, for diffusers' UNet2DConditionModel.

A channel group is a set of channels that several weights share, such as the width of a level, or
the inside of a ResNet. An axis has one group; but the input of a ResNet in an up block has two
(hidden states and skip connection), and a gated feed-forward layer has the same group twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class ChannelGroup:
    """A set of channels that several weights share, and how to select some of them."""

    name: str
    size: int
    parts: int = 1
    """Equal parts (norm groups) of which equally many channels are kept."""
    whole: int = 1
    """Width of an attention head; heads are selected first, then channels within each."""
    spaced: bool = False
    """Sinusoids of rising frequency, of which evenly spaced ones are kept."""

    def kept_indices(
        self, teacher: "ChannelGroup", importance: Float[Tensor, " channels"]
    ) -> Int[Tensor, " kept"]:
        """Indices of the teacher's channels that become this group, ascending."""
        if self.size == teacher.size:
            return torch.arange(self.size)
        if self.spaced:
            return _spaced_frequencies(self.size, teacher.size)
        if self.whole > 1:
            return _most_important_heads(self, teacher, importance)
        parts = gcd(self.parts, gcd(self.size, teacher.size))
        return _most_important_channels(importance.view(parts, -1), self.size // parts).flatten()


def _most_important_channels(
    importance: Float[Tensor, "parts channels"], count: int
) -> Int[Tensor, "parts kept"]:
    """Indices of the ``count`` most important channels of each part."""
    best = importance.topk(count, dim=1).indices.sort(dim=1).values
    return best + importance.shape[1] * torch.arange(len(importance))[:, None]


def _most_important_heads(
    own: ChannelGroup, teacher: ChannelGroup, importance: Float[Tensor, " channels"]
) -> Int[Tensor, " kept"]:
    """Indices of the most important channels of the most important heads."""
    by_head = importance.view(-1, teacher.whole)
    heads = min(own.size // own.whole, len(by_head))
    if own.size // heads > teacher.whole:  # fewer, wider heads: channels alone decide
        return _most_important_channels(importance[None], own.size).flatten()
    kept = by_head.sum(1).topk(heads).indices.sort().values
    within = by_head[kept].topk(own.size // heads, dim=1).indices.sort(dim=1).values
    return (within + teacher.whole * kept[:, None]).flatten()


def _spaced_frequencies(few: int, many: int) -> Int[Tensor, " kept"]:
    """Indices of the nearest frequencies, in both halves: sines and cosines."""
    half = torch.arange(few // 2) * (many // 2) // (few // 2)
    return torch.cat([half, half + many // 2])


Axis = tuple[ChannelGroup, ...]
Axes = dict[str, tuple[Axis, ...]]
"""Weight to its axes; a weight that is not listed is never inherited."""


def axes_of(unet: Any) -> Axes:
    """Axes of all weights of a UNet2DConditionModel."""
    return dict(_UnetWalk(unet).weight_axes())


class _UnetWalk:
    """Walks over a UNet's modules and names the channel groups of their weights."""

    def __init__(self, unet: Any) -> None:
        self.unet, config = unet, unet.config
        self.groups = config.norm_num_groups
        self.widths = list(config.block_out_channels)
        self.time = ChannelGroup("time", unet.time_embedding.linear_2.out_features)

    def level_group(self, number: int) -> ChannelGroup:
        return ChannelGroup(f"level {number}", self.widths[number], self.groups)

    def weight_axes(self) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        first, config = self.level_group(0), self.unet.config
        yield from self._layer_axes("conv_in", first, ChannelGroup("latent", config.in_channels))
        yield from self._layer_axes("conv_norm_out", first)
        yield from self._layer_axes("conv_out", ChannelGroup("latent", config.out_channels), first)
        yield from self._embedding_axes("time_embedding")
        if hasattr(self.unet, "add_embedding"):
            yield from self._embedding_axes("add_embedding")
        last = len(self.widths) - 1
        for number, _ in enumerate(self.unet.down_blocks):
            before = self.level_group(max(0, number - 1))
            yield from self._block_axes(
                f"down_blocks.{number}", self.level_group(number), [(before,)]
            )
        if self.unet.mid_block is not None:
            yield from self._block_axes(
                "mid_block", self.level_group(last), [(self.level_group(last),)]
            )
        for number, _ in enumerate(self.unet.up_blocks):
            yield from self._up_block_axes(number, last)

    def _up_block_axes(self, number: int, last: int) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        own = self.level_group(last - number)
        below, above = (
            self.level_group(min(last, last - number + 1)),
            self.level_group(max(0, last - number - 1)),
        )
        count = len(self.unet.up_blocks[number].resnets)
        inputs = [
            (below if i == 0 else own, above if i == count - 1 else own) for i in range(count)
        ]
        yield from self._block_axes(f"up_blocks.{number}", own, inputs)

    def _block_axes(
        self, name: str, level: ChannelGroup, inputs: list[Axis]
    ) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        """A block; ``inputs`` are those of its first ResNets, the others have the level's width."""
        block = self.unet.get_submodule(name)
        for number, _ in enumerate(block.resnets):
            taken = inputs[number] if number < len(inputs) else (level,)
            yield from self._resnet_axes(f"{name}.resnets.{number}", level, taken)
        for number, attention in enumerate(getattr(block, "attentions", None) or ()):
            if attention is not None:
                yield from self._attention_axes(f"{name}.attentions.{number}", level, attention)
        for kind in ("downsamplers", "upsamplers"):
            if getattr(block, kind, None):
                yield from self._layer_axes(f"{name}.{kind}.0.conv", level, level)

    def _resnet_axes(
        self, name: str, level: ChannelGroup, taken: Axis
    ) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        inside = ChannelGroup(f"{name} inside", level.size, self.groups)
        yield from self._layer_axes(f"{name}.norm1", taken)
        yield from self._layer_axes(f"{name}.conv1", inside, taken)
        yield from self._layer_axes(f"{name}.time_emb_proj", inside, self.time)
        yield from self._layer_axes(f"{name}.norm2", inside)
        yield from self._layer_axes(f"{name}.conv2", level, inside)
        yield from self._layer_axes(f"{name}.conv_shortcut", level, taken)

    def _attention_axes(
        self, name: str, level: ChannelGroup, attention: Any
    ) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        context = ChannelGroup("text", self.unet.config.cross_attention_dim)
        for layer in ("norm", "proj_in", "proj_out"):
            yield from self._layer_axes(
                f"{name}.{layer}", level, *([level] if layer != "norm" else [])
            )
        for number, block in enumerate(attention.transformer_blocks):
            inner = f"{name}.transformer_blocks.{number}"
            for layer in ("norm1", "norm2", "norm3"):
                yield from self._layer_axes(f"{inner}.{layer}", level)
            for kind, source in (("attn1", level), ("attn2", context)):
                attn = getattr(block, kind)
                width = attn.to_q.out_features
                heads = ChannelGroup(f"{inner}.{kind} heads", width, whole=width // attn.heads)
                yield from self._layer_axes(f"{inner}.{kind}.to_q", heads, level)
                yield from self._layer_axes(f"{inner}.{kind}.to_k", heads, source)
                yield from self._layer_axes(f"{inner}.{kind}.to_v", heads, source)
                yield from self._layer_axes(f"{inner}.{kind}.to_out.0", level, heads)
            hidden = ChannelGroup(f"{inner} hidden", block.ff.net[2].in_features)
            yield from self._layer_axes(f"{inner}.ff.net.0.proj", (hidden, hidden), level)
            yield from self._layer_axes(f"{inner}.ff.net.2", level, hidden)

    def _embedding_axes(self, name: str) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        layer = getattr(self.unet, name).linear_1
        inside = ChannelGroup(f"{name} inside", layer.out_features)
        if name == "time_embedding":
            taken: Axis = (ChannelGroup("frequencies", layer.in_features, spaced=True),)
        else:
            width = self.unet.config.addition_time_embed_dim
            sizes = [ChannelGroup("size frequencies", width, spaced=True)] * 6
            taken = (ChannelGroup("pooled text", layer.in_features - 6 * width), *sizes)
        yield from self._layer_axes(f"{name}.linear_1", inside, taken)
        yield from self._layer_axes(f"{name}.linear_2", self.time, inside)

    def _layer_axes(
        self, name: str, *axes: ChannelGroup | Axis
    ) -> Iterator[tuple[str, tuple[Axis, ...]]]:
        """Weight and bias of a module, if it exists."""
        module: Any = _submodule_with_weight(self.unet, name)
        own = tuple(axis if isinstance(axis, tuple) else (axis,) for axis in axes)
        if module is None:
            return
        kernel = tuple(
            (ChannelGroup(f"kernel {size}", size),) for size in module.weight.shape[len(own) :]
        )
        yield f"{name}.weight", own + kernel
        if module.bias is not None:
            yield f"{name}.bias", own[:1]


def _submodule_with_weight(unet: Any, name: str) -> Any:
    try:
        found = unet.get_submodule(name)
    except AttributeError:
        return None
    return found if getattr(found, "weight", None) is not None else None
