"""Fold powers of two into weights, so that values too large for half precision fit it exactly.

Between two layers with weights, values can be 2^-k times as large if the weights before are
multiplied by 2^-k and those after by 2^k. A norm's output does not change with the scale of its
input, if its epsilon is scaled too. Multiplying by a power of two changes no digit, so nothing is
lost except what half precision loses anyway.

Values that must share a scale (a residual sum and its terms) form a stream. A stream can be scaled
unless it is an input or output of the graph, or an operator reads or makes it whose effect depends
on the scale and cannot be compensated. Norms, attention, Relu and gating are no obstacle.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from onnx import AttributeProto, NodeProto, TensorProto, helper, numpy_helper

from .arrays import LazyArray
from .graph import Graph
from .values import VIEWS, attribute, data_inputs, element_types

PRODUCTS = ("MatMul", "Gemm", "Conv")
NORMS = ("LayerNormalization", "InstanceNormalization")
_SAME_SCALE = VIEWS | {"Add", "Sub", "Neg", "Abs", "Relu", "LeakyRelu", "MaxPool", "AveragePool"}
_BOUNDED = ("Sigmoid", "Gelu", "Erf", "Tanh", "Softmax")


@dataclass
class Streams:
    """The values of a graph in groups that share a scale."""

    parent: dict[str, str] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    """Values that cannot be scaled."""

    def stream_of(self, value: str) -> str:
        """The name of the value's stream."""
        self.parent.setdefault(value, value)
        while self.parent[value] != value:
            self.parent[value] = self.parent[self.parent[value]]
            value = self.parent[value]
        return value

    def join(self, values: list[str]) -> None:
        """Put values into one stream."""
        for other in values[1:]:
            self.parent[self.stream_of(other)] = self.stream_of(values[0])

    def pin(self, values: list[str]) -> None:
        """Exclude values from scaling."""
        self.pinned.update(values)

    def scalable(self) -> set[str]:
        """The streams that can be scaled."""
        fixed = {self.stream_of(value) for value in self.pinned}
        return {self.stream_of(value) for value in list(self.parent)} - fixed


def find_streams(graph: Graph) -> Streams:
    """The graph's streams; those of its inputs and outputs are pinned."""
    types, streams = element_types(graph), Streams()
    own = graph.model.graph
    streams.pin([value.name for value in (*own.input, *own.output)])
    makers = {name: node for node in own.node for name in node.output}
    constants = {*graph.weights, *(constant.name for constant in own.initializer)}
    for node in own.node:
        made = [name for name in node.output if types[name] == TensorProto.FLOAT]
        read = [
            name
            for _, name in data_inputs(node)
            if types[name] == TensorProto.FLOAT and name not in constants
        ]
        for value in (*made, *read):
            streams.stream_of(value)
        _join_or_pin(node, read, made, graph, makers, streams)
    return streams


def _join_or_pin(
    node: NodeProto,
    read: list[str],
    made: list[str],
    graph: Graph,
    makers: Mapping[str, NodeProto],
    streams: Streams,
) -> None:
    """Join or pin the streams that a node reads and makes."""
    has_weights = len(node.input) > 1 and node.input[1] in graph.weights
    if node.op_type in _SAME_SCALE:
        streams.join([*read, *made])
    elif (node.op_type in PRODUCTS and has_weights) or node.op_type in (
        "LayerNormalization",
        "Shape",
    ):
        pass  # any scale in, any scale out: weights make up for it
    elif node.op_type == "InstanceNormalization":
        streams.pin(made)  # its scale and bias are of groups, not of channels
    elif node.op_type == "MultiHeadAttention":
        streams.join([read[2], *made])
    elif node.op_type == "Mul" and len(read) == 1 and set(node.input) & set(graph.weights):
        pass  # a norm's weights by channel
    elif node.op_type == "Mul" and len(read) == 2:
        bounded = [name for name in read if _is_bounded(name, makers)]
        if len(bounded) == 1:  # value · gelu(gate), x · sigmoid(x)
            streams.pin(bounded)
            streams.join([*(name for name in read if name not in bounded), *made])
        else:
            streams.pin([*read, *made])
    elif node.op_type in ("Mul", "Div") and len(read) == 1 and node.input[0] == read[0]:
        streams.join([*read, *made])  # by a constant
    else:
        streams.pin([*read, *made])


def _is_bounded(name: str, makers: Mapping[str, NodeProto]) -> bool:
    return name in makers and makers[name].op_type in _BOUNDED


def with_scaled_streams(graph: Graph, streams: Streams, powers: Mapping[str, int]) -> Graph:
    """The graph with each stream multiplied by 2^-power; its outputs stay the same."""
    found = Graph(type(graph.model)(), dict(graph.weights))
    found.model.CopyFrom(graph.model)

    def power(value: str) -> int:
        return powers.get(streams.stream_of(value), 0) if value in streams.parent else 0

    for node in found.model.graph.node:
        _NodeScaling(found, node, power(node.output[0])).compensate(
            [power(name) for name in node.input]
        )
    used = {name for node in found.model.graph.node for name in node.input}
    found.weights = {name: array for name, array in found.weights.items() if name in used}
    return found


@dataclass
class _NodeScaling:
    """Scales one node's weights to compensate for the scales of its inputs and output."""

    graph: Graph
    node: NodeProto
    made: int
    """The power of its output."""

    def compensate(self, input_powers: list[int]) -> None:
        """Change the node's weights or attributes, so that its output has power ``made``."""
        node = self.node
        if not self.made and not any(input_powers):
            return
        if node.op_type in PRODUCTS:
            self._multiply(1, input_powers[0] - self.made)
            self._multiply(2, -self.made)
        elif node.op_type in NORMS:
            epsilon = attribute(node, "epsilon", 1e-5)
            _set_attribute(node, "epsilon", epsilon * 2.0 ** (-2 * input_powers[0]))
            self._multiply(1, -self.made)
            self._multiply(2, -self.made)
        elif node.op_type == "MultiHeadAttention":
            self._scale_scores(input_powers[0] + input_powers[1])
        elif node.op_type == "Mul":
            for place, name in enumerate(node.input):
                if name in self.graph.weights:
                    self._multiply(place, sum(input_powers) - self.made)
        elif node.op_type in ("Add", "Sub", "Gather"):
            for place in range(len(node.input)):
                if place < 2 and not input_powers[place]:
                    self._multiply(place, -self.made)

    def _scale_scores(self, power: int) -> None:
        """Multiply the scores' scale, because queries and keys are smaller."""
        usual = attribute(self.node, "scale", 0.0)
        if not usual:
            width = self._width(self.node.input[0]) // attribute(self.node, "num_heads")
            usual = width**-0.5
        _set_attribute(self.node, "scale", usual * 2.0**power)

    def _width(self, name: str) -> int:
        """The last axis of a value, from the weights that made it."""
        maker = next(node for node in self.graph.nodes if name in node.output)
        for weight in maker.input:
            if weight in self.graph.weights:
                return self.graph.weights[weight].shape[-1]
        raise ValueError(f"{self.node.name}: the width of {name} is unknown")

    def _multiply(self, place: int, power: int) -> None:
        """Replace a weight or constant input by itself times 2^power."""
        if place >= len(self.node.input) or not self.node.input[place] or not power:
            return
        name = self.node.input[place]
        scaled, factor = f"{name}_2^{power}", np.float32(2.0**power)
        if name in self.graph.weights:
            self.graph.weights[scaled] = _multiplied(self.graph.weights[name], factor)
        elif not self._scale_constant(name, scaled, factor):
            return
        self.node.input[place] = scaled

    def _scale_constant(self, name: str, scaled: str, factor: np.float32) -> bool:
        own = self.graph.model.graph
        constants = {constant.name: constant for constant in own.initializer}
        if name not in constants:
            return False
        if scaled not in constants:
            array = numpy_helper.to_array(constants[name]) * factor
            own.initializer.append(numpy_helper.from_array(array, scaled))
        return True


def _multiplied(array: LazyArray, factor: np.float32) -> LazyArray:
    return array.map(lambda a: a * factor)


def _set_attribute(node: NodeProto, name: str, value: float) -> None:
    kept: Iterator[AttributeProto] = (a for a in node.attribute if a.name != name)
    attributes = [*kept, helper.make_attribute(name, float(value))]
    del node.attribute[:]
    node.attribute.extend(attributes)
