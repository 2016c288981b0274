"""Emulate a half-precision graph on a CPU: compute in fp32, round every value as a GPU stores it.

ONNX Runtime's CPU kernels run most half-precision nodes in fp32 and round rarely, which hides
overflows. Here every value that the graph stores in half precision is rounded to it, and becomes
infinite beyond 65,504.
"""

import numpy as np
from onnx import NodeProto, helper, numpy_helper

from .graph import Graph
from .half import FLOAT, HALF
from .values import element_types


def emulate_half(graph: Graph) -> Graph:
    """The graph with float32 nodes; every float16 value is rounded after it is computed."""
    types = element_types(graph)
    found = Graph(type(graph.model)())
    found.model.CopyFrom(graph.model)
    own = found.model.graph
    found.weights = {
        name: array.map(lambda a: a.astype(np.float32), dtype=np.float32, is_half=True)
        if array.dtype == np.float16
        else array
        for name, array in graph.weights.items()
    }
    for constant in own.initializer:
        if constant.data_type == HALF:
            array = numpy_helper.to_array(constant).astype(np.float32)
            constant.CopyFrom(numpy_helper.from_array(array, constant.name))
    nodes: list[NodeProto] = []
    for node in own.node:
        nodes += _rounded(node, types)
    del own.node[:]
    own.node.extend(nodes)
    return found


def _rounded(node: NodeProto, types: dict[str, int]) -> list[NodeProto]:
    is_half = types[node.output[0]] == HALF
    if node.op_type == "Cast" and (is_half or types[node.input[0]] == HALF):
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == HALF:
                attribute.i = FLOAT
    if not is_half:
        return [node]
    outputs = [name for name in node.output if name]
    node.output[:] = [name and f"{name}_exact" for name in node.output]
    nodes = [node]
    for name in outputs:
        rounded = f"{name}_rounded"
        nodes.append(helper.make_node("Cast", [f"{name}_exact"], [rounded], rounded, to=HALF))
        nodes.append(helper.make_node("Cast", [rounded], [name], name + "_again", to=FLOAT))
    return nodes
