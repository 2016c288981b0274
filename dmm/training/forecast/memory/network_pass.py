"""Count the memory of a forward and backward pass on torch's meta device.

Meta tensors have sizes but no content, so SDXL takes seconds. Every storage that an operation
allocates is counted until it is freed, as by a GPU's allocator: activations for the backward pass,
recomputed blocks, and gradients. The networks are those of diffusers and transformers, because
importing those of sd-scripts takes twenty seconds; the same blocks are checkpointed as there.

Approximations: operations run in half or full precision by torch's list for CUDA, but a LoRA's
weights are cast again at every use, where autocast caches them. Attention stores no scores, like
sdpa and xformers, unless it is the plain one. The workspace of cuDNN and cuBLAS is not counted.
"""

import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

CHECKPOINTED = {
    "sdxl": ("ResnetBlock2D", "Downsample2D", "Upsample2D", "BasicTransformerBlock"),
    "sd15": ("ResnetBlock2D", "Transformer2DModel"),
}
"""Classes of diffusers' blocks that correspond to those that sd-scripts recomputes in the
backward pass (``sdxl_original_unet.py``, ``original_unet.py``)."""
CHECKPOINTED_TEXT = ("CLIPEncoderLayer",)
HALF_PRECISION = (
    F.linear, F.conv2d, torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm,
    torch.baddbmm,
)  # fmt: skip
FULL_PRECISION = (
    F.group_norm, F.layer_norm, F.softmax, torch.softmax, torch.Tensor.softmax, F.interpolate,
)  # fmt: skip
"""Functions in the networks that autocast runs in half or full precision on a GPU
(https://docs.pytorch.org/docs/stable/amp.html)."""


class LiveBytes(TorchDispatchMode):
    """Count the bytes of all live tensors that operations within the block create.

    ``now`` is their present size, ``peak`` the largest.
    """

    def __init__(self, uncounted: Iterable[torch.Tensor] = ()) -> None:
        """``uncounted``: tensors that exist before the block, not counted, nor are their views."""
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}
        self._uncounted = [tensor.untyped_storage() for tensor in uncounted]
        self._sizes |= {storage._cdata: 0 for storage in self._uncounted}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        with torch._C.DisableTorchFunction():  # takes half as long; no mode is needed here
            out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        """Count a storage once, until it is freed."""
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


class GpuEmulation(TorchFunctionMode):
    """Within the block, operations have the precision and attention that they have on a GPU.

    ``dtype`` is that of autocast, None without autocast. With ``stores_scores`` attention is the
    plain one, which stores the scores of all heads.
    """

    def __init__(self, dtype: torch.dtype | None, stores_scores: bool = False) -> None:
        super().__init__()
        self.dtype, self.stores_scores = dtype, stores_scores

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            q, k, v = (_cast(tensor, self.dtype) for tensor in args[:3])
            return (
                self._plain_attention(q, k, v)
                if self.stores_scores
                else FusedAttentionMemory.apply(q, k, v)
            )
        dtype = (
            self.dtype
            if func in HALF_PRECISION
            else torch.float32
            if func in FULL_PRECISION
            else None
        )
        if self.dtype is not None and dtype is not None:
            args = [_cast(value, dtype) for value in args]
            kwargs = {key: _cast(value, dtype) for key, value in kwargs.items()}
        return func(*args, **kwargs)

    def _plain_attention(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        with self:  # torch disables a mode inside its own handler
            weights = torch.softmax(torch.matmul(q, k.transpose(-1, -2)), dim=-1)
            return torch.matmul(weights.to(v.dtype), v)


class FusedAttentionMemory(torch.autograd.Function):
    """Stand-in for fused attention that only allocates what the kernel stores.

    These are the inputs, the output and one float32 per row.
    """

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Store the tensors; the output has no values."""
        out = q.new_empty(*q.shape[:-1], v.shape[-1])
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Uninitialised gradients of the inputs' sizes."""
        q, k, v, _, _ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _cast(value: Any, dtype: torch.dtype | None) -> Any:
    is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(dtype) if is_float and dtype is not None else value


def checkpoint_blocks(network: nn.Module, names: Iterable[str]) -> None:
    """Checkpoint each block of these classes: keep its input only, and recompute the rest."""
    for block in network.modules():
        if type(block).__name__ in names:
            block.forward = partial(
                checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
            )


def training_peak_bytes(
    forward: Callable[[], torch.Tensor],
    mode: GpuEmulation,
    uncounted: Iterable[torch.Tensor],
    trained: Iterable[torch.Tensor],
    accumulates: bool,
) -> int:
    """Peak bytes of a forward and backward pass, without the ``uncounted`` tensors.

    The gradients of ``trained`` are included: with ``accumulates`` from the start, because an
    earlier micro-batch has made them.
    """
    trained = list(trained)
    earlier = [torch.empty_like(parameter) for parameter in trained] if accumulates else []
    for parameter, grad in zip(trained, earlier or [None] * len(trained), strict=True):
        parameter.grad = grad
    with LiveBytes([*uncounted, *earlier]) as live, mode:
        loss = forward().float().square().mean()
        torch.autograd.backward(loss)  # loss.backward() would disable the mode
    return live.peak + sum(grad.numel() * grad.element_size() for grad in earlier)


def inference_peak_bytes(
    forward: Callable[[], torch.Tensor], mode: GpuEmulation, uncounted: Iterable[torch.Tensor]
) -> int:
    """Peak bytes of a forward pass without gradients, and without the ``uncounted`` tensors."""
    with torch.no_grad(), LiveBytes(uncounted) as live, mode:
        forward()
    return live.peak
