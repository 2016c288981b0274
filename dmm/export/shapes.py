"""Infer the shape of every value in a graph without running it."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, shape_inference

from .graph import MICROSOFT, Graph

Shape = tuple[int, ...]


def infer_shapes(graph: Graph, axes: Mapping[str, int]) -> dict[str, Shape]:
    """Shapes of all values; ``axes`` are the lengths of the graph's named axes.

    ValueError if one cannot be known.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    own = model.graph
    for value in own.input:
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_value = axes[axis.dim_param]
    for value in own.output:
        value.type.tensor_type.ClearField("shape")
    for name, array in graph.weights.items():
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        own.input.append(helper.make_tensor_value_info(name, kind, array.shape))
    nodes = [_standard_node(node, own) for node in list(own.node)]
    del own.node[:]
    own.node.extend(nodes)
    found = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {constant.name: tuple(constant.dims) for constant in own.initializer}
    for value in (*found.input, *found.output, *found.value_info):
        axes_found = value.type.tensor_type.shape.dim
        if not all(axis.HasField("dim_value") for axis in axes_found):
            raise ValueError(f"the shape of {value.name} does not follow from {dict(axes)}")
        shapes[value.name] = tuple(axis.dim_value for axis in axes_found)
    return shapes


def _standard_node(node: NodeProto, own: onnx.GraphProto) -> NodeProto:
    """Replace a node of Microsoft's domain by a standard one with the same output shape."""
    if node.domain != MICROSOFT:
        return node
    if node.op_type == "MultiHeadAttention":
        return helper.make_node("Identity", [node.input[0]], list(node.output), node.name)
    settings = {a.name: a.i for a in node.attribute}
    if node.op_type == "MatMulNBits":
        shape, place, operator = (settings["K"], settings["N"]), 0, "MatMul"
    elif node.op_type == "GatherBlockQuantized":
        table = next(v for v in own.input if v.name == node.input[0]).type.tensor_type.shape.dim
        shape, place, operator = tuple(axis.dim_value for axis in table), 1, "Gather"
    else:
        raise ValueError(f"{node.name}: the shape of {node.op_type} is not known")
    stand_in = f"{node.name}_weights"
    own.input.append(helper.make_tensor_value_info(stand_in, TensorProto.FLOAT, shape))
    inputs = [node.input[0], stand_in] if place == 0 else [stand_in, node.input[1]]
    return helper.make_node(operator, inputs, list(node.output), node.name)


def size_bytes(shape: Shape, element_type: int) -> int:
    """Bytes of a tensor."""
    itemsize = np.dtype(helper.tensor_dtype_to_np_dtype(element_type)).itemsize
    return int(np.prod(shape, dtype=np.int64)) * itemsize
