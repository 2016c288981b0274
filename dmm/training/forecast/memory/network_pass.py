"""A training step without numbers: torch's meta device runs it, and its memory is counted.

On the meta device tensors have sizes and no content, so the whole of SDXL goes forward and back in
seconds. Every storage that an operation makes is counted until it is freed, as a GPU's allocator
would count it: what autograd keeps for the way back, what the recomputation of a checkpointed block
takes, and gradients. The networks are those of diffusers and transformers, because the engine's own
take twenty seconds to import; blocks are checkpointed where the engine does it.

What is approximate: operations run in half or in full precision by torch's list for CUDA, but a
LoRA's weights are cast anew at every use; attention is a kernel that keeps no scores (sdpa,
xformers) unless it is the plain one; the work space of cuDNN and cuBLAS is not seen.
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
"""The blocks that the engine's UNets compute anew on the way back (``sdxl_original_unet.py``,
``original_unet.py``)."""
CHECKPOINTED_TEXT = ("CLIPEncoderLayer",)
HALF = (
    F.linear, F.conv2d, torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm,
    torch.baddbmm,
)  # fmt: skip
FULL = (
    F.group_norm, F.layer_norm, F.softmax, torch.softmax, torch.Tensor.softmax, F.interpolate,
)  # fmt: skip
"""Functions of our networks that autocast runs in half and in full precision on a GPU
(https://docs.pytorch.org/docs/stable/amp.html)."""


class LiveBytes(TorchDispatchMode):
    """Within the block, counts the bytes of all tensors made there that are still alive."""

    def __init__(self, known: Iterable[torch.Tensor] = ()) -> None:
        """``known`` tensors were there before and are not counted, nor are views of them."""
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}
        self._known = [tensor.untyped_storage() for tensor in known]
        self._sizes |= {storage._cdata: 0 for storage in self._known}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        with torch._C.DisableTorchFunction():  # half the time: no function here is the network's
            out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key)


class LikeGpu(TorchFunctionMode):
    """Within the block, precision and attention are a GPU's.

    ``dtype`` is what autocast computes in; None is without autocast. With ``keeps_scores``
    attention is the plain one, which keeps every score of every head.
    """

    def __init__(self, dtype: torch.dtype | None, keeps_scores: bool = False) -> None:
        super().__init__()
        self.dtype, self.keeps_scores = dtype, keeps_scores

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            q, k, v = (_cast(tensor, self.dtype) for tensor in args[:3])
            return self._plain(q, k, v) if self.keeps_scores else Attention.apply(q, k, v)
        dtype = self.dtype if func in HALF else torch.float32 if func in FULL else None
        if self.dtype is not None and dtype is not None:
            args = [_cast(value, dtype) for value in args]
            kwargs = {key: _cast(value, dtype) for key, value in kwargs.items()}
        return func(*args, **kwargs)

    def _plain(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        with self:  # torch switches a mode off while it is being asked
            weights = torch.softmax(torch.matmul(q, k.transpose(-1, -2)), dim=-1)
            return torch.matmul(weights.to(v.dtype), v)


class Attention(torch.autograd.Function):
    """What a fused kernel keeps: its inputs, its output and a number for each row."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Keep what there is to keep."""
        out = q.new_empty(*q.shape[:-1], v.shape[-1])
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Gradients of the inputs' sizes."""
        q, k, v, _, _ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


def _cast(value: Any, dtype: torch.dtype | None) -> Any:
    is_number = isinstance(value, torch.Tensor) and value.is_floating_point()
    return value.to(dtype) if is_number and dtype is not None else value


def checkpoint_blocks(network: nn.Module, names: Iterable[str]) -> None:
    """Keep only the input of each block of these classes; the rest is computed anew."""
    for block in network.modules():
        if type(block).__name__ in names:
            block.forward = partial(
                checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False
            )


def step_bytes(
    forward: Callable[[], torch.Tensor],
    mode: LikeGpu,
    known: Iterable[torch.Tensor],
    learning: Iterable[torch.Tensor],
    accumulates: bool,
) -> int:
    """Most bytes alive at once in a step forward and back, beside the ``known`` tensors.

    The gradients of ``learning`` are among them. With ``accumulates`` those of the micro-batch
    before are there from the beginning.
    """
    learning = list(learning)
    earlier = [torch.empty_like(parameter) for parameter in learning] if accumulates else []
    for parameter, grad in zip(learning, earlier or [None] * len(learning), strict=True):
        parameter.grad = grad
    with LiveBytes([*known, *earlier]) as live, mode:
        loss = forward().float().square().mean()
        torch.autograd.backward(loss)  # loss.backward() would switch the mode off
    return live.peak + sum(grad.numel() * grad.element_size() for grad in earlier)


def quiet_bytes(
    forward: Callable[[], torch.Tensor], mode: LikeGpu, known: Iterable[torch.Tensor]
) -> int:
    """Most bytes alive at once on the way forward, without gradients."""
    with torch.no_grad(), LiveBytes(known) as live, mode:
        forward()
    return live.peak
