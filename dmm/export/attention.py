"""Attention and GEGLU of diffusers and transformers as few ONNX nodes.

Written out, attention keeps every score, and their number grows with the square of a piece's
length. As ``com.microsoft.MultiHeadAttention`` it is one node, which CPU, CUDA and newer WebGPU
kernels compute in tiles. Networks keep their weights and names; only these layers' ``forward``
changes.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

TOKENS = 77
"""Length of CLIP's input."""


class MultiHeadAttention(torch.autograd.Function):
    """Scaled dot-product attention of (batch, tokens, width) with heads side by side in width."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, heads: int
    ) -> Tensor:
        """What PyTorch computes."""
        rows, tokens, width = q.shape
        q, k, v = (x.view(rows, -1, heads, x.shape[-1] // heads).transpose(1, 2) for x in (q, k, v))
        found = functional.scaled_dot_product_attention(q, k, v)
        return found.transpose(1, 2).reshape(rows, tokens, width)

    @staticmethod
    def symbolic(g: Any, q: Any, k: Any, v: Any, heads: int) -> Any:
        """The ONNX node."""
        node = g.op("com.microsoft::MultiHeadAttention", q, k, v, num_heads_i=heads)
        node.setType(q.type())
        return node


class SplitInHalves(torch.autograd.Function):
    """The two halves of the last axis."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Two tensors of half the width."""
        first, second = x.chunk(2, dim=-1)
        return first.clone(), second.clone()

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        """One Split node; without it the exporter adds nodes that compute the middle."""
        return g.op("Split", x, axis_i=-1, num_outputs_i=2, outputs=2)


def simplify_layers(network: nn.Module) -> None:
    """Replace ``forward`` of attention and GEGLU layers in a network that will be traced."""
    from diffusers.models.activations import GEGLU
    from diffusers.models.attention_processor import Attention
    from transformers.models.clip.modeling_clip import CLIPAttention

    simpler: dict[type, Any] = {
        Attention: _diffusers_attention,
        CLIPAttention: _clip_attention,
        GEGLU: _geglu,
    }
    for layer in network.modules():
        if type(layer) in simpler:
            layer.forward = partial(simpler[type(layer)], layer)


def _diffusers_attention(
    attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
) -> Tensor:
    """As diffusers' AttnProcessor2_0, without masks, which neither UNet nor VAE uses."""
    residual, is_image = hidden_states, hidden_states.ndim == 4
    if is_image:
        hidden_states = hidden_states.flatten(2).transpose(1, 2)
    if attn.group_norm is not None:
        hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
    context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
    q, k, v = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
    found = attn.to_out[0](MultiHeadAttention.apply(q, k, v, attn.heads))
    if is_image:
        found = found.transpose(1, 2).reshape(residual.shape)
    if attn.residual_connection:
        found = found + residual
    return found / attn.rescale_output_factor if attn.rescale_output_factor != 1 else found


def _clip_attention(
    attn: Any, hidden_states: Tensor, causal_attention_mask: Tensor, **_: Any
) -> tuple[Tensor, None]:
    """Decomposed, because some WebGPU kernels of MultiHeadAttention refuse a mask of all heads."""
    shape = -1, TOKENS, attn.num_heads, attn.head_dim
    q, k, v = (
        layer(hidden_states).reshape(shape).transpose(1, 2)
        for layer in (attn.q_proj, attn.k_proj, attn.v_proj)
    )
    scores = (q * attn.scale) @ k.transpose(2, 3) + causal_attention_mask
    found = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, TOKENS, attn.embed_dim)
    return attn.out_proj(found), None


def _geglu(layer: Any, hidden_states: Tensor) -> Tensor:
    value, gate = SplitInHalves.apply(layer.proj(hidden_states))  # pyright: ignore[reportGeneralTypeIssues]
    return value * layer.gelu(gate)
