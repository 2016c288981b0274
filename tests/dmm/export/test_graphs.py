"""Whether nodes have WebGPU kernels, shapes without computing, and memory forecast from them."""

import numpy as np
import pytest
from onnx import helper

from dmm.bundles.schema import Memory
from dmm.export.arrays import LazyArray
from dmm.export.graph import Graph
from dmm.export.half import to_half
from dmm.export.memory import GB, advise, forecast_memory
from dmm.export.operators import nodes_without_kernel
from dmm.export.quantize import quantize
from dmm.export.shapes import infer_shapes


def graph(nodes, inputs, outputs, weights=None, opset=20):
    def values(named):
        return [helper.make_tensor_value_info(name, 1, shape) for name, shape in named.items()]

    own = helper.make_graph(nodes, "g", values(inputs), values(outputs))
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    arrays = {
        name: LazyArray(array.shape, array.dtype, lambda array=array: array)
        for name, array in (weights or {}).items()
    }
    return Graph(helper.make_model(own, opset_imports=imports), arrays)


@pytest.fixture(scope="module", params=["sdxl", "sd15"])
def graphs(request, traced):
    return traced[request.param]


def test_every_node_of_every_precision_has_a_kernel(graphs):
    for found in graphs.values():
        for variant in (found, to_half(found), quantize(found, 8), quantize(found, 4)):
            assert nodes_without_kernel(variant) == []
        assert nodes_without_kernel(found, "jsep") == []


def test_layer_norm_and_gelu_stay_whole(graphs):
    operators = {node.op_type for found in graphs.values() for node in found.nodes}
    assert {"LayerNormalization", "InstanceNormalization"} <= operators
    assert not {"Erf", "ReduceMean", "Pow"} & operators


def test_an_operator_without_a_kernel_is_named():
    node = helper.make_node("Mish", ["x"], ["y"], "activation")
    found = nodes_without_kernel(graph([node], {"x": [4]}, {"y": [4]}))
    assert found == ["activation (Mish: no WebGPU kernel)"]


def test_a_kernel_of_other_opsets_is_named():
    node = helper.make_node("Transpose", ["x"], ["y"], "turn")
    found = nodes_without_kernel(graph([node], {"x": [4, 4]}, {"y": [4, 4]}, opset=21))
    assert found == ["turn (Transpose: kernels of opset 1 to 20, not 21)"]


def test_shapes_are_those_that_running_gives(graphs):
    sizes = {"batch": 2, "timesteps": 1, "rows": 16, "columns": 24,
             "image_rows": 128, "image_columns": 192}  # fmt: skip
    for name, found in graphs.items():
        shapes = infer_shapes(found, sizes)
        output = found.model.graph.output[0]
        wanted = {"text_encoder": (2, 77), "text_encoder_2": (2, 77), "unet": (2, 4, 16, 24),
                  "vae_decoder": (2, 3, 128, 192)}[name]  # fmt: skip
        start = shapes[output.name][: len(wanted)]
        assert start == wanted or (name == "unet" and start == (2, 8, 16, 24))


def test_memory_is_weights_and_the_most_values_alive_at_once():
    """x (40 B) -> a (80 B) -> b (120 B) -> y (4 B): most is a and b, and x until a is made."""
    weights = {"w": np.zeros((10, 20), np.float32), "v": np.zeros((20, 30), np.float16)}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], "a"),
        helper.make_node("Cast", ["v"], ["v32"], "v32", to=1),
        helper.make_node("MatMul", ["a", "v32"], ["b"], "b"),
        helper.make_node("ReduceMax", ["b"], ["y"], "y", keepdims=0),
    ]
    memory = forecast_memory(graph(nodes, {"x": [1, 10]}, {"y": []}, weights), {})
    stored, cast = 800 + 1200, 2400
    assert memory.webgpu_peak_bytes == stored + 80 + cast + 120
    assert memory.wasm_peak_bytes == 800 * 1.125 + 2400 + 80 + cast + 120
    assert memory.largest_tensor_bytes == 2400


def test_webassembly_looks_halves_up_as_they_are_and_packs_those_of_products():
    weights = {"table": np.zeros((50, 8), np.float16), "w": np.zeros((8, 8), np.float16)}
    nodes = [
        helper.make_node("Gather", ["table", "x"], ["a"], "a"),
        helper.make_node("MatMul", ["a", "w"], ["b"], "b"),
        helper.make_node("Cast", ["b"], ["y"], "y", to=1),
    ]
    memory = forecast_memory(graph(nodes, {"x": [1, 5]}, {"y": [1, 5, 8]}, weights), {})
    assert memory.wasm_peak_bytes == 800 + 1.5 * 256 + 2 * (5 * 8 * 4)


def test_webassembly_widens_quantized_weights():
    """Those of convolutions stay widened, those of linear layers while they run."""
    weights = {"q": np.zeros((6, 4, 1, 1), np.int8), "s": np.zeros(6, np.float32)}
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s"], ["w"], "w", axis=0),
        helper.make_node("Conv", ["x", "w"], ["y"], "y"),
    ]
    memory = forecast_memory(graph(nodes, {"x": [1, 4, 2, 2]}, {"y": [1, 6, 2, 2]}, weights), {})
    assert memory.wasm_peak_bytes == (24 + 6 * 4) + 4 * 24 + 4 * (16 + 24)
    weights = {"q": np.zeros((3, 1, 32), np.uint8), "s": np.zeros((3, 1), np.float32)}
    node = helper.make_node(
        "MatMulNBits", ["x", "q", "s"], ["y"], "y", domain="com.microsoft",
        K=32, N=3, bits=8, block_size=32,
    )  # fmt: skip
    memory = forecast_memory(graph([node], {"x": [1, 32]}, {"y": [1, 3]}, weights), {})
    assert memory.wasm_peak_bytes == (96 + 12) + 4 * 96 + 4 * (32 + 3)


def test_attention_counts_its_scores():
    node = helper.make_node(
        "MultiHeadAttention", ["x", "x", "x"], ["y"], "y", domain="com.microsoft", num_heads=4
    )
    memory = forecast_memory(graph([node], {"x": [1, 100, 32]}, {"y": [1, 100, 32]}), {})
    assert memory.largest_tensor_bytes == 4 * 100 * 100 * 4


def test_advice_follows_from_the_limits(exported):
    from dmm.bundles.folder import read_description

    bundle = read_description(exported)
    assert list(advise(bundle)) == []
    large = Memory(wasm_peak_bytes=5 * GB, webgpu_peak_bytes=3 * GB, largest_tensor_bytes=2 * GB)
    parts = {"unet": bundle.parts["unet"].model_copy(update={"memory": large})}
    sentences = [a.sentence for a in advise(bundle.model_copy(update={"parts": parts}))]
    assert "needs 5.0 GB of WebAssembly's 4 GB" in sentences[0]
    assert "binds 2.0 GB at once" in sentences[1]
