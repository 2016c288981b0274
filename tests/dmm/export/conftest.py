"""Graphs and bundles of small random checkpoints, made once for all tests of a file."""

import numpy as np
import onnxruntime
import pytest
import torch

from dmm.export.export import ExportOptions, export
from dmm.export.graph import trace
from dmm.export.precision import Precisions
from dmm.export.source import Source
from dmm.export.writing import write_graph
from dmm.generation.sampling import Sampling
from dmm.generation.settings import resolve_settings

FP32 = Precisions("fp32", "fp32", "fp32")
QUICK = Sampling(sampler="ddim", steps=2, guidance=1.0)


@pytest.fixture(scope="session")
def sources(tiny_checkpoint, tiny_sd15):
    """Both architectures, loaded."""
    models = {"sdxl": tiny_checkpoint, "sd15": tiny_sd15}
    return {
        kind: Source(model, resolve_settings(model, (), QUICK)) for kind, model in models.items()
    }


@pytest.fixture(scope="session")
def traced(sources):
    """The graphs of all their parts."""
    return {
        kind: {name: trace(part) for name, part in source.parts.items()}
        for kind, source in sources.items()
    }


@pytest.fixture(scope="session")
def options():
    """``options(model, **changes)``: the quickest possible export."""

    def make(model, precisions=FP32, **changes):
        settings = resolve_settings(model, (), QUICK)
        return ExportOptions(model, settings, ("slow piano",), precisions=precisions, **changes)

    return make


@pytest.fixture(scope="session")
def exported(tiny_sd15, options, tmp_path_factory):
    """The smaller one as an fp32 bundle."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    export(options(tiny_sd15), folder)
    return folder


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


@pytest.fixture
def run_graph(tmp_path):
    """``run_graph(graph, inputs)``: what ONNX Runtime computes with it."""

    def run(graph, inputs):
        write_graph(graph, tmp_path / "graph.onnx", 2**30)
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(tmp_path / "graph.onnx", providers=providers)
        return session.run(None, inputs)

    return run


@pytest.fixture(scope="session")
def relative_error():
    """``relative_error(found, expected)``, written another way than the exporter's own."""

    def error(found, expected):
        return np.sqrt(np.square(found - expected).sum() / np.square(expected).sum())

    return error
