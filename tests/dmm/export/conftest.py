"""Bundles of small random checkpoints, made once for all tests of a file."""

import numpy as np
import onnxruntime
import pytest
import torch

from dmm.export.export import Order, export
from dmm.export.precision import Precisions
from dmm.generation.sampling import Sampling
from dmm.generation.settings import resolve_settings

FP32 = Precisions("fp32", "fp32", "fp32")
QUICK = Sampling(sampler="ddim", steps=2, guidance=1.0)


@pytest.fixture(scope="session")
def order():
    """``order(model, **changes)``: an export that takes as little time as may be."""

    def make(model, precisions=FP32, **changes):
        settings = resolve_settings(model, changes.get("loras", ()), QUICK)
        return Order(model, settings, ("slow piano",), precisions=precisions, **changes)

    return make


@pytest.fixture(scope="session")
def exported(tiny_checkpoint, tiny_sd15, order, tmp_path_factory):
    """Both architectures as fp32 bundles."""
    folders = {}
    for kind, model in {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}.items():
        folders[kind] = tmp_path_factory.mktemp("bundles") / kind
        export(order(model), folders[kind])
    return folders


@pytest.fixture(scope="session")
def random_inputs():
    """``random_inputs(part, rows, columns)``: arrays for a part, its latents of 8 rows."""

    def make(part, rows, columns):
        generator = torch.Generator().manual_seed(0)
        return {
            name: value(name, like, rows, columns, generator) for name, like in part.inputs.items()
        }

    def value(name, like, rows, columns, generator):
        if name == "input_ids":
            ids = torch.randint(0, 1023, (rows, 77), generator=generator, dtype=torch.int32)
            ids[:, [20, 50]] = 1023  # end of text: the first counts
            return ids.numpy()
        if name == "timestep":
            return np.array([500], np.float32)
        shape = (8, columns) if name in ("sample", "latents") else like.shape[2:]
        return torch.randn(rows, like.shape[1], *shape, generator=generator).numpy()

    return make


@pytest.fixture(scope="session")
def run_file():
    """``run_file(path, inputs)``: an ONNX file's outputs in ONNX Runtime."""

    def run(path, inputs):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, inputs)

    return run


@pytest.fixture(scope="session")
def relative_error():
    """``relative_error(found, expected)``, written another way than the exporter's own."""

    def error(found, expected):
        return np.sqrt(np.square(found - expected).sum() / np.square(expected).sum())

    return error
