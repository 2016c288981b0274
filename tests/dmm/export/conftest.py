"""Graphs and bundles of small random checkpoints, made once for all tests of a file.

Tracing takes time for every layer, so most tests export a student of two levels.
"""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from dmm.checkpoints.custom_layout import CustomLayout, canonical_json
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.sdxl_layout import save_checkpoint, single_file_tensors
from dmm.export.exporter import ExportOptions, export
from dmm.export.graph import trace
from dmm.export.precision import Precisions
from dmm.export.source import Source
from dmm.export.writing import write_graph
from dmm.generation.sampling import Sampling
from dmm.generation.settings import resolve_settings
from dmm.pretraining.nano import NANO

FP32 = Precisions("fp32", "fp32", "fp32")
QUICK = Sampling(sampler="ddim", steps=2, guidance=1.0)
UNET = {
    "in_channels": 8, "out_channels": 8, "block_out_channels": [32, 96], "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "mid_block_type": None,
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"], "norm_num_groups": 8,
    "attention_head_dim": [1, 1], "cross_attention_dim": 48, "time_embedding_dim": 32,
    "encoder_hid_dim": 192, "encoder_hid_dim_type": "text_proj", "use_linear_projection": True,
    "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 128 + 6 * 8,
}  # fmt: skip
VAE = {"latent_channels": 8, "colours": 1, "block_out_channels": [8] * 4, "blocks": [1] * 4}


@pytest.fixture(scope="session")
def write_student():
    """``write_student(path, unet, **metadata)``: random weights; ``unet`` changes its sizes."""

    def write(path, unet=None, **metadata):
        torch.manual_seed(4)
        custom = CustomLayout(canonical_json(UNET | (unet or {})), canonical_json(VAE))
        text = replace(NANO.te1, num_layers=3)
        networks = build_networks(replace(NANO, custom=custom, te1=text))
        last = networks["vae"].decoder[-1]
        last.weight.data *= 20  # or images would be even
        last.bias.data += 0.4
        said = {"modelspec.prediction_type": "v", "dmm_format": "nano", **metadata}
        tensors = single_file_tensors(*networks.values(), custom=custom)
        save_checkpoint(path, tensors, {**said, **custom.metadata}, torch.float32)
        return path

    return write


@pytest.fixture(scope="session")
def student(write_student, tmp_path_factory):
    """A student that takes guidance as any model does."""
    return write_student(tmp_path_factory.mktemp("student") / "student.safetensors")


@pytest.fixture(scope="session")
def sources(tiny_checkpoint, tiny_sd15, student):
    """Both architectures and the student, loaded."""
    models = {"sdxl": tiny_checkpoint, "sd15": tiny_sd15, "student": student}
    return {
        kind: Source(model, resolve_settings(model, (), QUICK)) for kind, model in models.items()
    }


@pytest.fixture(scope="session")
def traced(sources):
    """The graphs of all parts of both architectures."""
    return {
        kind: {name: trace(part) for name, part in sources[kind].parts.items()}
        for kind in ("sdxl", "sd15")
    }


@pytest.fixture(scope="session")
def options():
    """``options(model, **changes)``: the quickest possible export."""

    def make(model, precisions=FP32, **changes):
        settings = resolve_settings(model, (), QUICK)
        return ExportOptions(model, settings, ("slow piano",), precisions=precisions, **changes)

    return make


@pytest.fixture(scope="session")
def exported(student, options, tmp_path_factory):
    """The student as an fp32 bundle."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    export(options(student), folder)
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
