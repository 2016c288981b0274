"""ONNX Runtime sessions on the CPU, on CUDA, or on any GPU through DirectML."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError, PresetError

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "dml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""Device to ONNX Runtime's name, the fastest first."""


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
