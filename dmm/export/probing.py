"""Measure the largest number of each node in a graph, at its output and inside.

A probed graph has one more output: for each float node the largest absolute value of its outputs,
and of the values that a kernel holds in the node's own precision while it computes. These are, for

- a product with weights (MatMul, Gemm, Conv): sums over parts of the reduced axis, because WebGPU
  kernels add up in the output's precision;
- attention: products of queries and keys, and the scores;
- a norm: the squares whose mean is its variance.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..bundles.sessions import in_listed_order
from .graph import Graph
from .running import RunGraph, open_graph
from .values import attribute, element_types

PEAKS = "peaks"
PARTS = 8
"""Largest number of parts of a reduced axis."""


@dataclass(frozen=True)
class NodePeaks:
    """Largest absolute values of one node over all runs."""

    node: str
    operator: str
    output: float
    inside: float
    """0 for a node that holds nothing larger than its output."""


@contextmanager
def open_probe(graph: Graph, near: Path) -> Iterator["Probe"]:
    """Open a graph that measures while it runs; temporary files go into the folder ``near``."""
    nodes = [(node.name, node.op_type) for node in _float_nodes(graph)]
    with open_graph(with_probe_nodes(graph), near, **in_listed_order()) as run:
        yield Probe(nodes, run)


class Probe:
    """Runs a probed graph and keeps the largest numbers of its nodes."""

    def __init__(self, nodes: list[tuple[str, str]], run: RunGraph) -> None:
        """``nodes`` are names and operators of the measured nodes, in order."""
        self._nodes, self._run = nodes, run
        self._largest = np.zeros((len(nodes), 2), np.float32)

    def __call__(self, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The graph's own outputs; NaN counts as infinite."""
        *outputs, peaks = self._run(inputs)
        found = np.where(np.isnan(peaks), np.inf, peaks).reshape(-1, *self._largest.shape)
        self._largest = np.maximum(self._largest, found.max(0))
        return outputs

    def peaks(self) -> list[NodePeaks]:
        """The peaks of every float node so far, in the order in which nodes run."""
        return [
            NodePeaks(*node, float(output), float(inside))
            for node, (output, inside) in zip(self._nodes, self._largest, strict=True)
        ]


def with_probe_nodes(graph: Graph) -> Graph:
    """The graph with the output ``peaks``: two numbers for each float node, in order."""
    found = Graph(type(graph.model)(), graph.weights)
    found.model.CopyFrom(graph.model)
    builder, measured = _ProbeNodes(graph), {node.name for node in _float_nodes(graph)}
    names: list[str] = []
    for node in graph.nodes:  # each is measured at once, so that its values can be freed
        builder.nodes.append(node)
        if node.name in measured:
            names += [builder.largest(node.output), builder.largest(builder.inside(node))]
    own = found.model.graph
    del own.node[:]
    own.node.extend(builder.nodes)
    own.node.append(helper.make_node("Concat", names, [PEAKS], PEAKS, axis=0))
    own.initializer.extend(builder.constants)
    own.output.append(helper.make_tensor_value_info(PEAKS, TensorProto.FLOAT, [len(names)]))
    return found


def _float_nodes(graph: Graph) -> list[NodeProto]:
    types = element_types(graph)
    return [node for node in graph.nodes if types[node.output[0]] == TensorProto.FLOAT]


class _ProbeNodes:
    """Adds the nodes that measure others."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.nodes, self.constants = graph, [], []
        self._constant_names: dict[bytes, str] = {}
        self._none = self._constant(np.zeros(1, np.float32))
        self._one = self._constant(np.array([1], np.int64))

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; returns its output's name, or with several the first's."""
        name = f"probe_{len(self.nodes)}"
        names = [name, *(f"{name}_{i}" for i in range(1, outputs))]
        domain = attributes.pop("domain", "")
        node = helper.make_node(operator, inputs, names, name, domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def largest(self, names: Iterable[str]) -> str:
        """The largest absolute value in any of these, (1,); 0 of none."""
        found = [
            self.add("Reshape", self.add("ReduceMax", self.add("Abs", name), keepdims=0), self._one)
            for name in names
        ]
        if not found:
            return self._none
        return found[0] if len(found) == 1 else self.add("Max", *found)

    def inside(self, node: NodeProto) -> Iterable[str]:
        """Names of values that the node's kernel holds before its output is ready."""
        measure = {
            "MatMul": self._product, "Gemm": self._product, "Conv": self._product,
            "MultiHeadAttention": self._attention,
            "LayerNormalization": self._squares, "InstanceNormalization": self._squares,
        }.get(node.op_type)  # fmt: skip
        return measure(node) if measure else ()

    def _product(self, node: NodeProto) -> Iterator[str]:
        """Sums over the first part, the first two, and so on."""
        weight = self.graph.weights.get(node.input[1])
        if weight is None or attribute(node, "group", 1) != 1:
            return
        axis = {"Conv": 1, "MatMul": -2, "Gemm": 1 if attribute(node, "transB", 0) else 0}
        length = weight.shape[axis[node.op_type]]
        parts = next(n for n in (PARTS, 4, 2, 1) if length % n == 0)
        if parts == 1:
            return
        cut = {"outputs": parts, "num_outputs": parts}
        data = self.add("Split", node.input[0], axis=1 if node.op_type == "Conv" else -1, **cut)
        kernel = self.add("Split", node.input[1], axis=axis[node.op_type], **cut)
        kept = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        total = None
        for number in range(parts):
            suffix = f"_{number}" if number else ""
            part = self.add(node.op_type, data + suffix, kernel + suffix, **kept)
            total = part if total is None else self.add("Add", total, part)
            yield total

    def _attention(self, node: NodeProto) -> Iterator[str]:
        """Scores by absolute values, and products of the largest query and key."""
        q, k = (self.add("Abs", name) for name in node.input[:2])
        heads = attribute(node, "num_heads")
        shape = self._constant(np.array([0, 0, heads, -1], np.int64))
        split = [
            self.add("Transpose", self.add("Reshape", x, shape), perm=perm)
            for x, perm in ((q, [0, 2, 1, 3]), (k, [0, 2, 3, 1]))
        ]
        yield self.add("MatMul", *split)
        yield self.add("Mul", self.largest([q]), self.largest([k]))

    def _squares(self, node: NodeProto) -> Iterator[str]:
        """Of the distances from the mean, which a norm that is written out would compute."""
        x = node.input[0]
        first = -1 if node.op_type == "LayerNormalization" else 2
        axes = self._constant(np.array([first], np.int64))
        away = self.add("Sub", x, self.add("ReduceMean", x, axes))
        yield self.add("Mul", away, away)

    def _constant(self, array: np.ndarray) -> str:
        key = array.tobytes() + str(array.dtype).encode()
        if key not in self._constant_names:
            name = self._constant_names[key] = f"probe_constant_{len(self.constants)}"
            self.constants.append(numpy_helper.from_array(array, name))
        return self._constant_names[key]
