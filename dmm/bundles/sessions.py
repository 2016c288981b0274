"""ONNX Runtime sessions on the CPU, on CUDA, or on any GPU through DirectML."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, PresetError
from .schema import Part

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "dml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Device to ONNX Runtime's name, the fastest first."""

LARGE_BYTES = 2**31
"""Bytes of weights from which a fifth more time is worth a third of the memory."""


def pick_session_device(device: str) -> str:
    """The device to use: ``auto`` is the first available of cuda, dml and cpu.

    PresetError for an unknown one, or one that this ONNX Runtime does not know.
    """
    import onnxruntime

    there = onnxruntime.get_available_providers()
    if device == "auto":
        return next(name for name, provider in PROVIDERS.items() if provider in there)
    kind = device.partition(":")[0]
    if kind not in PROVIDERS:
        known = ", ".join(("auto", *PROVIDERS))
        raise PresetError(f"no device {device!r} for a bundle; known: {known}")
    if PROVIDERS[kind] not in there:
        package = {"cuda": "onnxruntime-gpu", "dml": "onnxruntime-directml"}[kind]
        raise PresetError(f"--device {device}: not in this ONNX Runtime; pip install {package}")
    return device


def open_session(path: Path, device: str = "cpu", lean: bool = False, **settings: Any) -> Any:
    """Load a network; ModelError if this ONNX Runtime cannot.

    ``lean`` leaves weights in their mapped file, for a few runs of a large network; without it a
    CPU computes faster from a second copy. ``settings`` are set on its SessionOptions.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if lean:
        options.add_session_config_entry("session.disable_prepacking", "1")
    for name, value in settings.items():
        setattr(options, name, value)
    kind, _, number = device.partition(":")
    named = [(PROVIDERS[kind], {"device_id": number} if number else {})]
    providers = named if kind == "cpu" else [*named, PROVIDERS["cpu"]]
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # ONNX Runtime's errors have no common class but this
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{path}: does not load in ONNX Runtime {onnxruntime.__version__} ({reason}); "
            "update onnxruntime, or export again"
        ) from error


def session_settings(part: Part, device: str) -> dict[str, Any]:
    """Arguments of ``open_session`` that suit a part of a bundle.

    A CPU computes half precision in fp32. Usually all weights are widened when the session opens,
    which takes twice the bytes of the files beside them: 15 GB for SDXL's UNet. In a large part
    each is widened just before the node that reads it, which makes a step a fifth slower.
    """
    is_half = part.precision in ("fp16", "mixed")
    is_large = sum(file.bytes for file in part.data) >= LARGE_BYTES
    if device == "cpu" and is_half and is_large:
        return {"lean": True, **in_listed_order()}
    return {}


def in_listed_order() -> dict[str, Any]:
    """Settings that fold nothing and run the nodes as they are listed."""
    import onnxruntime

    return {
        "graph_optimization_level": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
        "execution_order": onnxruntime.ExecutionOrder.PRIORITY_BASED,
    }


def run_session(session: Any, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Run a session on a batch, row by row if the network has a fixed batch size of 1.

    An input of a single row is used for all rows.
    """
    rows = max(len(array) for array in inputs.values())
    fixed = all(value.shape[0] == 1 for value in session.get_inputs())
    if not fixed or rows == 1:
        return session.run(None, inputs)
    found = [
        session.run(
            None, {name: a[row : row + 1] if len(a) > 1 else a for name, a in inputs.items()}
        )
        for row in range(rows)
    ]
    return [np.concatenate(outputs) for outputs in zip(*found, strict=True)]
