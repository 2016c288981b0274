"""Values of a graph: their element types and the nodes that read them."""

from collections import defaultdict
from typing import Any

from onnx import NodeProto, TensorProto, helper

from .graph import Graph

VIEWS = frozenset(
    ("Reshape", "Transpose", "Unsqueeze", "Squeeze", "Split", "Concat", "Slice", "Gather",
     "Expand", "Resize", "Identity")
)  # fmt: skip
"""Operators that move numbers without changing them."""
NOT_DATA = {"Resize": (1, 2), "Reshape": (1,), "Slice": (1, 2, 3, 4), "Expand": (1,),
            "Gather": (1,), "Unsqueeze": (1,), "Split": (1,)}  # fmt: skip
"""Inputs that are shapes or indices, by operator."""
_BOOLEAN = ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Not")
_LIKE_INPUT = {"Where": 1, "DequantizeLinear": 1, "GatherBlockQuantized": 2}
"""The input whose type the output has, where it is not the first."""


def element_types(graph: Graph) -> dict[str, int]:
    """The ONNX element type of every value that some node makes or reads."""
    own = graph.model.graph
    types = {value.name: value.type.tensor_type.elem_type for value in own.input}
    types |= {constant.name: constant.data_type for constant in own.initializer}
    for name, array in graph.weights.items():
        types[name] = helper.np_dtype_to_tensor_dtype(array.dtype)
    for node in own.node:
        found = _output_type(node, types)
        types |= dict.fromkeys(node.output, found)
    return types


def _output_type(node: NodeProto, types: dict[str, int]) -> int:
    if node.op_type == "Cast":
        return attribute(node, "to")
    if node.op_type == "Shape":
        return TensorProto.INT64
    if node.op_type in _BOOLEAN:
        return TensorProto.BOOL
    if node.op_type == "ConstantOfShape":
        value = attribute(node, "value", None)
        return value.data_type if value is not None else TensorProto.FLOAT
    return types[node.input[_LIKE_INPUT.get(node.op_type, 0)]]


def data_inputs(node: NodeProto) -> list[tuple[int, str]]:
    """Place and name of the inputs that are numbers to compute with."""
    skipped = NOT_DATA.get(node.op_type, ())
    return [(i, name) for i, name in enumerate(node.input) if name and i not in skipped]


def readers_by_value(graph: Graph) -> dict[str, list[NodeProto]]:
    """The nodes that read each value."""
    found: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.nodes:
        for name in dict.fromkeys(node.input):
            found[name].append(node)
    return found


def attribute(node: NodeProto, name: str, *default: Any) -> Any:
    """A node's attribute, or the default."""
    return helper.get_node_attr_value(node, name) if _has_attribute(node, name) else default[0]


def _has_attribute(node: NodeProto, name: str) -> bool:
    return any(found.name == name for found in node.attribute)
