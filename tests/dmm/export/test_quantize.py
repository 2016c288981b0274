"""Quantized weights against the same arithmetic in NumPy, and what ONNX Runtime makes of them."""

import numpy as np
import pytest
from onnx import helper

from dmm.bundles.sessions import open_session
from dmm.export.arrays import LazyArray
from dmm.export.graph import Graph
from dmm.export.quantize import quantize, quantize_by_block, quantize_by_channel
from dmm.export.writing import write_graph


def dequantized(rows, block, bits):
    """What packed blocks stand for, unpacked by another way than they were packed."""
    packed, scale, zero = quantize_by_block(rows, block, bits)
    if bits == 4:
        packed, zero = (
            np.stack([x & 15, x >> 4], -1).reshape(*x.shape[:-1], -1) for x in (packed, zero)
        )
    zero = zero[:, : scale.shape[1], None].astype(int)
    values = (packed.astype(int) - zero) * scale[..., None]
    return values.reshape(len(rows), -1)[:, : rows.shape[1]]


@pytest.mark.parametrize(("bits", "steps"), [(8, 254), (4, 15)])
def test_blocks_lose_at_most_half_a_step(rng, bits, steps):
    rows = rng.normal(size=(5, 70)).astype(np.float32)
    error = np.abs(dequantized(rows, 32, bits) - rows)
    assert error.max() <= np.ptp(rows) / steps and error.max() > 0


def test_channels_lose_at_most_half_a_step_of_their_own(rng):
    kernel = rng.normal(size=(6, 3, 3, 3)).astype(np.float32) * np.arange(1, 7)[:, None, None, None]
    numbers, scale = quantize_by_channel(kernel)
    error = np.abs(numbers * scale[:, None, None, None] - kernel).reshape(6, -1).max(1)
    assert (error <= scale * 0.501).all()


def test_zeros_stay_zeros():
    assert not dequantized(np.zeros((2, 64), np.float32), 32, 4).any()
    assert not quantize_by_channel(np.zeros((2, 4, 1, 1), np.float32))[0].any()


@pytest.mark.parametrize("bits", [8, 4])
def test_onnx_runtime_reads_them_as_meant(rng, tmp_path, bits):
    """Embedding, linear layer in the middle, convolution: each product with dequantized weights."""
    table, linear = rng.normal(size=(100, 64)), rng.normal(size=(64, 96))
    kernel = rng.normal(size=(32, 96, 3)) / 10
    weights = {"table": table, "linear": linear, "kernel": kernel, "first": np.eye(64)}
    weights = {name: array.astype(np.float32) for name, array in weights.items()}
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["a"], "a"),
        helper.make_node("MatMul", ["a", "first"], ["b"], "b"),
        helper.make_node("MatMul", ["b", "linear"], ["c"], "c"),
        helper.make_node("Transpose", ["c"], ["d"], "d", perm=[0, 2, 1]),
        helper.make_node("Conv", ["d", "kernel"], ["e"], "e", pads=[1, 1]),
        helper.make_node("Neg", ["e"], ["y"], "y"),
    ]
    inputs = [helper.make_tensor_value_info("ids", 6, [2, 7])]
    outputs = [helper.make_tensor_value_info("y", 1, [2, 32, 7])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", 20)]
    )
    lazy = {name: LazyArray(a.shape, a.dtype, lambda a=a: a) for name, a in weights.items()}
    graph = quantize(Graph(model, lazy), bits)
    write_graph(graph, tmp_path / "q.onnx", 2**30)
    ids = rng.integers(0, 100, (2, 7), dtype=np.int32)
    found = open_session(tmp_path / "q.onnx").run(None, {"ids": ids})[0]
    x = dequantized(weights["table"], 64, 8)[ids]
    x = x @ dequantized(np.eye(64, dtype=np.float32).T, 64 if bits == 8 else 32, bits).T
    x = x @ dequantized(weights["linear"].T, 64 if bits == 8 else 32, bits).T
    numbers, scale = quantize_by_channel(weights["kernel"])
    x = np.pad(x.transpose(0, 2, 1), ((0, 0), (0, 0), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(x, 3, axis=-1)
    expected = -np.einsum("bctk,ock->bot", windows, numbers * scale[:, None, None])
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()
    assert {node.op_type for node in graph.nodes} >= {
        "GatherBlockQuantized", "MatMulNBits", "DequantizeLinear"
    }  # fmt: skip
