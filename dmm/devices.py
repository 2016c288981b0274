"""Pick the device and the floating-point precision that a network runs in."""

from contextlib import AbstractContextManager
from typing import Any

import torch

from .errors import PresetError

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def pick_device(device: str) -> str:
    """The device to use: ``auto`` is CUDA, else Apple's GPU, else the CPU.

    PresetError for an unknown device, or one that torch does not find on this machine.
    """
    has_cuda, has_mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return "cuda" if has_cuda else "mps" if has_mps else "cpu"
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (":" in device and not number.isdigit()):
        raise PresetError(f"no device {device!r}; known: auto, cpu, cuda, cuda:N, mps")
    if (kind == "cuda" and not has_cuda) or (kind == "mps" and not has_mps):
        raise PresetError(
            f"--device {device}: no GPU found; use --device cpu (dmm doctor says what torch sees)"
        )
    return device


def device_name() -> str:
    """Name of the first CUDA GPU, or else the CPU with the number of torch's threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads"


def pick_precision(precision: str, device: str) -> str:
    """The precision to use: ``auto`` is fp32 on a CPU, bf16 on a GPU that has it, else fp16.

    PresetError for an unknown precision.
    """
    if precision == "auto":
        if device == "cpu":
            return "fp32"
        has_bf16 = device.startswith("cuda") and torch.cuda.is_bf16_supported(False)
        return "bf16" if has_bf16 else "fp16"
    if precision not in DTYPES:
        raise PresetError(f"no precision {precision!r}; known: auto, {', '.join(DTYPES)}")
    return precision


def bf16_autocast(device: torch.device | str, enabled: bool = True) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 where torch considers it safe; weights stay in float32."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=enabled)
