"""Quantize weights to 8 or 4 bits, in forms that ONNX Runtime's WebGPU provider can run.

- linear layers: com.microsoft.MatMulNBits, 8 or 4 bits by blocks of the reduced axis;
- convolutions: DequantizeLinear before Conv, 8 bits by output channel (4 as well as 8 stays 8);
- token embeddings: com.microsoft.GatherBlockQuantized, 8 bits by blocks of a row.

Arithmetic stays in fp32, so that GPUs without half precision can run it. The first and the last
product of a network, small weights and the timestep's embedding are not quantized.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, helper

from .arrays import LazyArray
from .graph import IR_VERSION, MICROSOFT, OPSET, Graph
from .scaling import PRODUCTS
from .values import attribute

INT8, UINT8, FLOAT32 = (np.dtype(kind) for kind in (np.int8, np.uint8, np.float32))
TIMESTEP = re.compile(r"/time_embedding/")
"""Names of the nodes that embed the timestep; sizes and pooled text lose little."""
SMALL = 1024
"""Smaller weights are not quantized."""
BLOCKS_8, BLOCKS_4 = (128, 64, 32), (32,)
"""Lengths of blocks that share a scale; the first that divides the axis is used."""


def quantize(graph: Graph, bits: int) -> Graph:
    """The graph with weights in 8 bits, or those of linear layers in 4."""
    found = Graph(type(graph.model)(), dict(graph.weights))
    found.model.CopyFrom(graph.model)
    own = found.model.graph
    skipped, latest = _nodes_to_skip(graph), _LastResult()
    nodes: list[NodeProto] = []
    for node in own.node:
        nodes += (
            [node] if node.name in skipped else _quantize_node(node, found.weights, bits, latest)
        )
    del own.node[:]
    own.node.extend(nodes)
    used = {name for node in own.node for name in node.input}
    found.weights = {name: array for name, array in found.weights.items() if name in used}
    del found.model.opset_import[:]
    found.model.opset_import.extend(
        [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    )
    found.model.ir_version = IR_VERSION
    return found


def _nodes_to_skip(graph: Graph) -> set[str]:
    """Names of the nodes not to quantize: first and last product, the timestep's embedding."""
    own = graph.model.graph
    edges = {own.input[0].name, *(value.name for value in own.output)}
    return {
        node.name
        for node in own.node
        if TIMESTEP.search(node.name)
        or (node.op_type in PRODUCTS and edges & {node.input[0], *node.output})
    }


def _quantize_node(
    node: NodeProto, weights: dict[str, LazyArray], bits: int, latest: "_LastResult"
) -> list[NodeProto]:
    """The nodes that replace one node with quantized weights."""
    place = 0 if node.op_type == "Gather" else 1
    name = node.input[place] if len(node.input) > place else ""
    array = weights.get(name)
    if array is None or np.prod(array.shape) < SMALL:
        return [node]
    if node.op_type == "Conv":
        return _quantize_conv(node, name, array, weights, latest)
    if (
        node.op_type == "Gather"
        and len(array.shape) == 2
        and _block_length(array.shape[1], BLOCKS_8)
    ):
        return [_quantize_embedding(node, name, array, weights, latest)]
    if node.op_type == "MatMul" and len(array.shape) == 2:
        return [_quantize_matmul(node, node.output[0], name, array, weights, bits, latest)]
    if node.op_type == "Gemm" and attribute(node, "transB", 0):
        transposed = array.map(lambda a: a.T, array.shape[::-1])
        product = _quantize_matmul(
            node, f"{node.output[0]}_product", name, transposed, weights, bits, latest
        )
        inputs = [product.output[0], node.input[2]]
        return [product, helper.make_node("Add", inputs, list(node.output), f"{node.name}_bias")]
    return [node]


def _quantize_conv(
    node: NodeProto,
    name: str,
    array: LazyArray,
    weights: dict[str, LazyArray],
    latest: "_LastResult",
) -> list[NodeProto]:
    result = latest.lazily(name, array, quantize_by_channel)
    weights[f"{name}_q8"] = LazyArray(array.shape, INT8, result(0))
    weights[f"{name}_scale"] = LazyArray(array.shape[:1], FLOAT32, result(1))
    dequantized = f"{name}_dequantized"
    inputs = [f"{name}_q8", f"{name}_scale"]
    first = helper.make_node("DequantizeLinear", inputs, [dequantized], dequantized, axis=0)
    node.input[1] = dequantized
    return [first, node]


def _quantize_embedding(
    node: NodeProto,
    name: str,
    array: LazyArray,
    weights: dict[str, LazyArray],
    latest: "_LastResult",
) -> NodeProto:
    rows, width = array.shape
    block = _block_length(width, BLOCKS_8)
    result = latest.lazily(name, array, lambda a: quantize_by_block(a, block, 8))
    packed = LazyArray((rows, width // block, block), UINT8, result(0))
    weights[f"{name}_q8"] = packed.map(lambda a: a.reshape(rows, width), (rows, width))
    weights[f"{name}_scale"] = LazyArray((rows, width // block), FLOAT32, result(1))
    return helper.make_node(
        "GatherBlockQuantized", [f"{name}_q8", node.input[1], f"{name}_scale"], list(node.output),
        node.name, domain=MICROSOFT, bits=8, block_size=block, gather_axis=0, quantize_axis=1,
    )  # fmt: skip


def _quantize_matmul(
    node: NodeProto,
    output: str,
    name: str,
    array: LazyArray,
    weights: dict[str, LazyArray],
    bits: int,
    latest: "_LastResult",
) -> NodeProto:
    """A product with weights (reduced, made)."""
    reduced, made = array.shape
    block = _block_length(reduced, BLOCKS_8 if bits == 8 else BLOCKS_4) or 32
    blocks = -(-reduced // block)
    result = latest.lazily(name, array, lambda a: quantize_by_block(a.T, block, bits))
    inputs = [node.input[0], f"{name}_q{bits}", f"{name}_scale"]
    weights[inputs[1]] = LazyArray((made, blocks, block * bits // 8), UINT8, result(0))
    weights[inputs[2]] = LazyArray((made, blocks), FLOAT32, result(1))
    if bits == 4:
        inputs.append(f"{name}_zero")
        weights[inputs[3]] = LazyArray((made, -(-blocks // 2)), UINT8, result(2))
    return helper.make_node(
        "MatMulNBits", inputs, [output], node.name,
        domain=MICROSOFT, K=reduced, N=made, bits=bits, block_size=block,
    )  # fmt: skip


def _block_length(length: int, sizes: tuple[int, ...]) -> int:
    return next((size for size in sizes if length % size == 0), 0)


@dataclass
class _LastResult:
    """Remembers the results of one computation, since several arrays come of each."""

    key: str = ""
    results: tuple[np.ndarray, ...] = ()

    def lazily(
        self, key: str, array: LazyArray, compute: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    ) -> Callable[[int], Callable[[], np.ndarray]]:
        """``lazily(...)(number)`` loads that result when it is called."""

        def result(number: int) -> np.ndarray:
            if self.key != key:
                self.key, self.results = key, compute(array.load())
            return self.results[number]

        return lambda number: lambda: result(number)


def quantize_by_channel(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 and the scale of each output channel (the first axis); symmetric."""
    flat = np.abs(array).reshape(len(array), -1).max(1)
    scale = np.where(flat > 0, flat / 127, 1).astype(np.float32)
    shaped = scale.reshape(-1, *[1] * (array.ndim - 1))
    return np.rint(array / shaped).astype(np.int8), scale


def quantize_by_block(
    rows: np.ndarray, block: int, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Packed bytes (rows, blocks, bytes), scales (rows, blocks), packed zero points.

    8 bits are symmetric about 128; 4 bits take the range between each block's extremes. The last
    block is filled with zeros.
    """
    missing = -rows.shape[1] % block
    values = np.pad(rows, ((0, 0), (0, missing))).reshape(len(rows), -1, block)
    if bits == 8:
        largest = np.abs(values).max(-1)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        packed = (np.rint(values / scale[..., None]) + 128).astype(np.uint8)
        return packed, scale, np.full(scale.shape, 128, np.uint8)
    low, high = values.min(-1).clip(max=0), values.max(-1).clip(min=0)
    scale = np.where(high > low, (high - low) / 15, 1).astype(np.float32)
    zero = np.rint(-low / scale).clip(0, 15).astype(np.uint8)
    numbers = (np.rint(values / scale[..., None]) + zero[..., None]).clip(0, 15).astype(np.uint8)
    padded = np.pad(zero, ((0, 0), (0, zero.shape[1] % 2)))
    return _pack_pairs(numbers), scale, _pack_pairs(padded)


def _pack_pairs(numbers: np.ndarray) -> np.ndarray:
    """Two 4-bit numbers a byte, the first in the lower half."""
    return numbers[..., 0::2] | (numbers[..., 1::2] << 4)
