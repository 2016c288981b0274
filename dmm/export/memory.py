"""Forecast a part's memory in a browser from its graph, and give advice where limits are near.

On WebGPU the card holds the weights as they are stored, the activations that are alive at once and
the scores of the running attention node. On the CPU in WebAssembly everything must fit one heap,
which never shrinks: weights in half precision are widened to fp32 on loading, except tables that
are only looked up; linear weights are packed again, which leaves holes; quantized convolutions are
widened when they first run and quantized linear layers one at a time. Memory that a runtime keeps
for later use (WebGPU's buffer cache) comes on top.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto, TensorProto

from ..bundles.schema import Bundle, Memory
from .graph import Graph
from .shapes import Shape, infer_shapes, size_bytes
from .values import attribute, element_types

MB, GB = 2**20, 2**30
ARRAY_BUFFER = 0x7FE00000
"""Largest ArrayBuffer in Chrome, which limits a weight file."""
WASM_HEAP = 4 * GB
"""Address space of 32-bit WebAssembly."""
DEFAULT_BINDING = 128 * MB
"""WebGPU's maxStorageBufferBindingSize unless a page asks the adapter for more."""
USUAL_BUFFER = GB
"""maxBufferSize of small adapters: Chromium's SwiftShader, some integrated GPUs."""
PACKING_HOLES = {2: 0.5, 4: 0.125}
"""Share of linear weights (in fp32) that packing leaves as holes, by the bytes of a stored number.

A packed weight is a little larger than its original, so it fits only where two neighbours were
freed. Measured in onnxruntime-web 1.30: .20 to .53 of those stored in half precision, .06 to .13 of
those in fp32 (docs/log.md)."""
ALIASES = ("Reshape", "Unsqueeze", "Squeeze", "Identity", "Flatten")
"""Operators whose output is their input's memory."""


def forecast_memory(graph: Graph, axes: Mapping[str, int]) -> Memory:
    """A part's peak memory; ``axes`` are the lengths of its named axes."""
    shapes, types = infer_shapes(graph, axes), element_types(graph)
    stored = sum(array.nbytes for array in graph.weights.values())
    constants = sum(len(c.SerializeToString()) for c in graph.model.graph.initializer)
    sizes = {
        name: size_bytes(shape, types[name]) for name, shape in shapes.items() if name in types
    }
    scores = {node.name: _attention_score_bytes(node, shapes, types) for node in graph.nodes}
    on_card = _peak_bytes(graph, sizes, scores)
    at_first_run = {node.output[0] for node in graph.nodes if node.op_type == "DequantizeLinear"}
    in_heap = _peak_bytes(
        graph,
        {
            name: 0 if name in at_first_run else _widened(size, types[name])
            for name, size in sizes.items()
        },
        {node.name: _widened_product_bytes(node) for node in graph.nodes},
    ) + sum(sizes[name] for name in at_first_run)
    largest = max(*sizes.values(), *scores.values())
    return Memory(
        wasm_peak_bytes=_weights_in_heap(graph) + constants + in_heap,
        webgpu_peak_bytes=stored + constants + on_card,
        largest_tensor_bytes=largest,
    )


def _weights_in_heap(graph: Graph) -> int:
    """Bytes of the weights as WebAssembly's kernels hold them, with the holes of packing."""
    readers: dict[str, set[str]] = defaultdict(set)
    for node in graph.nodes:
        for name in node.input:
            readers[name].add(node.op_type)
    found = 0.0
    for name, array in graph.weights.items():
        is_widened = array.dtype == np.float16 and readers[name] != {"Gather"}
        size = 2 * array.nbytes if is_widened else array.nbytes
        is_packed = not readers[name].isdisjoint({"MatMul", "Gemm"})
        found += size * (1 + is_packed * PACKING_HOLES.get(array.dtype.itemsize, 0))
    return round(found)


def _widened_product_bytes(node: NodeProto) -> int:
    """Bytes of a quantized linear layer's weights in fp32."""
    if node.op_type != "MatMulNBits":
        return 0
    return 4 * attribute(node, "K") * attribute(node, "N")


def _widened(size: int, element_type: int) -> int:
    return 2 * size if element_type == TensorProto.FLOAT16 else size


def _attention_score_bytes(
    node: NodeProto, shapes: Mapping[str, Shape], types: Mapping[str, int]
) -> int:
    """Bytes of an attention node's scores, where a kernel keeps all of them."""
    if node.op_type != "MultiHeadAttention":
        return 0
    (batch, queries, _), (_, keys, _) = (shapes[name] for name in node.input[:2])
    return size_bytes((batch, attribute(node, "num_heads"), queries, keys), types[node.output[0]])


def _peak_bytes(graph: Graph, sizes: Mapping[str, int], scratch: Mapping[str, int]) -> int:
    """Peak bytes of values that are alive at once while nodes run in order."""
    own = graph.model.graph
    fixed = {*graph.weights, *(constant.name for constant in own.initializer)}
    root = {value.name: value.name for value in own.input}
    last: dict[str, int] = {}
    for number, node in enumerate(own.node):
        for name in node.output:
            aliased = node.op_type in ALIASES and node.input[0] in root
            root[name] = root[node.input[0]] if aliased else name
        for name in (*node.input, *node.output):
            if name in root and name not in fixed:
                last[root[name]] = number
    for value in own.output:
        last[root[value.name]] = len(own.node)
    alive = sum(sizes[value.name] for value in own.input)
    peak = alive
    ending: dict[int, list[str]] = {}
    for name, number in last.items():
        ending.setdefault(number, []).append(name)
    for number, node in enumerate(own.node):
        alive += sum(sizes[name] for name in node.output if name and root[name] == name)
        peak = max(peak, alive + scratch.get(node.name, 0))
        alive -= sum(sizes[name] for name in ending.get(number, ()))
    return peak


@dataclass(frozen=True)
class Advice:
    """Advice about a part that is near a limit."""

    part: str
    sentence: str


def advise(bundle: Bundle) -> Iterator[Advice]:
    """Advice for a page that plays the bundle."""
    for name, part in bundle.parts.items():
        memory = part.memory
        if memory is None:
            continue
        for file in part.data:
            if file.bytes > ARRAY_BUFFER:
                yield Advice(name, f"{file.file} is beyond an ArrayBuffer (2 GB): --shard-mb 256")
        if memory.wasm_peak_bytes > WASM_HEAP:
            yield Advice(
                name,
                f"needs {_gb(memory.wasm_peak_bytes)} of WebAssembly's 4 GB: WebGPU only, or "
                f"export it in {'int4' if part.precision == 'int8' else 'int8'}",
            )
        elif memory.wasm_peak_bytes > WASM_HEAP / 2:
            yield Advice(
                name,
                f"needs {_gb(memory.wasm_peak_bytes)} of WebAssembly's 4 GB: run it in a worker of "
                "its own and end the worker afterwards",
            )
        if memory.largest_tensor_bytes > USUAL_BUFFER:
            yield Advice(
                name,
                f"binds {_gb(memory.largest_tensor_bytes)} at once, more than many adapters' "
                "maxBufferSize (1 GB): generate shorter pieces",
            )
        elif memory.largest_tensor_bytes > DEFAULT_BINDING:
            yield Advice(
                name,
                f"binds {memory.largest_tensor_bytes / MB:.0f} MB at once: ask the adapter for a "
                "maxStorageBufferBindingSize of as much (default 128 MB)",
            )


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"
