"""Convert a graph to half precision, except nodes that stay in fp32.

Inputs and outputs stay float32: casts are inserted at the edges, and between nodes of different
precision.
"""

from collections.abc import Collection

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from .arrays import LazyArray
from .graph import Graph
from .values import VIEWS, data_inputs, element_types

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16
NAMES: dict[int, str] = {FLOAT: "fp32", HALF: "fp16"}
LARGEST = float(np.finfo(np.float16).max)
"""65,504; larger numbers become infinite in half precision."""


def to_half(graph: Graph, keep: Collection[str] = ()) -> Graph:
    """The graph in half precision, except the nodes named in ``keep``."""
    return _HalfConversion(graph, keep).converted_graph()


def to_half_array(array: np.ndarray) -> np.ndarray:
    """Round to half precision; numbers beyond its range become its largest, not infinite."""
    return np.asarray(array.clip(-LARGEST, LARGEST)).astype(np.float16)


class _HalfConversion:
    """The state of one conversion."""

    def __init__(self, graph: Graph, keep: Collection[str]) -> None:
        self.source, self.keep = graph, frozenset(keep)
        self.types = element_types(graph)
        self.constants = {c.name: c for c in graph.model.graph.initializer}
        self.precision_of = {value.name: FLOAT for value in graph.model.graph.input}
        """The precision of each float value."""
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, LazyArray] = {}
        self.added: dict[str, TensorProto] = {}
        self.casts: set[str] = set()

    def converted_graph(self) -> Graph:
        """The graph in half precision where it may be."""
        outputs = [value.name for value in self.source.model.graph.output]
        for node in self.source.nodes:
            self._convert(node)
        found = Graph(type(self.source.model)(), self.weights)
        found.model.CopyFrom(self.source.model)
        own = found.model.graph
        del own.node[:], own.initializer[:]
        own.node.extend(self._with_float_outputs(outputs))
        used = {name for node in own.node for name in node.input}
        own.initializer.extend(c for name, c in self.constants.items() if name in used)
        own.initializer.extend(self.added.values())
        return found

    def _convert(self, node: NodeProto) -> None:
        copy = NodeProto()
        copy.CopyFrom(node)
        floats = [(i, name) for i, name in data_inputs(node) if self.types[name] == FLOAT]
        wanted = self._wanted_precision(node, floats)
        for place, name in floats:
            copy.input[place] = self._name_in_precision(name, wanted)
        for name in node.input:
            if name in self.source.weights and self.types[name] != FLOAT:
                self.weights[name] = self.source.weights[name]
        if self.types[node.output[0]] == FLOAT:
            if node.op_type == "Cast":
                next(found for found in copy.attribute if found.name == "to").i = wanted
            self.precision_of |= dict.fromkeys(node.output, wanted)
        self.nodes.append(copy)

    def _wanted_precision(self, node: NodeProto, floats: list[tuple[int, str]]) -> int:
        """fp32 if the node is kept, or only moves fp32 numbers."""
        if node.name in self.keep:
            return FLOAT
        moved = [self.precision_of[name] for _, name in floats if name in self.precision_of]
        return FLOAT if node.op_type in VIEWS and FLOAT in moved else HALF

    def _name_in_precision(self, name: str, wanted: int) -> str:
        """The name of a value, weight or constant in the wanted precision."""
        if name in self.source.weights:
            return self._weight_in_precision(name, wanted)
        if name in self.constants:
            return self._constant_in_precision(name, wanted)
        if self.precision_of[name] == wanted:
            return name
        cast = f"{name}_{NAMES[wanted]}"
        if cast not in self.casts:
            self.casts.add(cast)
            self.nodes.append(helper.make_node("Cast", [name], [cast], cast, to=wanted))
        return cast

    def _weight_in_precision(self, name: str, wanted: int) -> str:
        array = self.source.weights[name]
        if wanted == FLOAT:
            self.weights[name] = array
            return name
        half = f"{name}_fp16"
        self.weights[half] = array.map(to_half_array, dtype=np.float16)
        return half

    def _constant_in_precision(self, name: str, wanted: int) -> str:
        if wanted == FLOAT:
            return name
        half = f"{name}_fp16"
        if half not in self.added:
            array = to_half_array(numpy_helper.to_array(self.constants[name]))
            self.added[half] = numpy_helper.from_array(array, half)
        return half

    def _with_float_outputs(self, outputs: list[str]) -> list[NodeProto]:
        """The nodes, and a cast for every output of the graph that is in half precision."""
        inner = {name: f"{name}_fp16" for name in outputs if self.precision_of[name] == HALF}
        for node in self.nodes:
            for names in (node.input, node.output):
                names[:] = [inner.get(name, name) for name in names]
        casts = [
            helper.make_node("Cast", [half], [name], f"{name}_output", to=FLOAT)
            for name, half in inner.items()
        ]
        return self.nodes + casts
