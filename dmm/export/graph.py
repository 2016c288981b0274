"""Trace a network as an ONNX graph without copying its weights.

PyTorch's exporter would copy every weight several times. So a copy of the network is traced whose
parameters are single numbers, expanded: no memory whatever the size. The real ones are named and
read one at a time when the bundle is written.

The TorchScript exporter is used: it is part of torch, takes seconds where ``torch.export`` takes
minutes, and its opset 20 keeps LayerNormalization and Gelu whole.
"""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from .arrays import LazyArray, lazy_parameter
from .attention import simplify_layers
from .traceable_parts import Part

OPSET = 20
IR_VERSION = 9
MICROSOFT = "com.microsoft"


@dataclass
class Graph:
    """An ONNX model, and the arrays of initializers that it refers to by name."""

    model: onnx.ModelProto
    weights: dict[str, LazyArray] = field(default_factory=dict)

    @property
    def nodes(self) -> Any:
        """The model's nodes, in the order in which they run."""
        return self.model.graph.node


def trace(part: Part) -> Graph:
    """The part's graph in fp32; its weights are the network's parameters."""
    with TemporaryDirectory() as folder:
        traced, simplified = Path(folder) / "traced.onnx", Path(folder) / "simplified.onnx"
        _export(part, traced)
        onnx.save(_simplify_expand_sizes(onnx.load(traced)), traced)
        _simplify(traced, simplified)
        graph = Graph(onnx.load(simplified))
    _move_parameters_to_weights(graph, part)
    _fold_weight_transposes(graph)
    _clean_up_and_stamp(graph)
    return graph


def _export(part: Part, path: Path) -> None:
    """Export a copy with simplified layers by PyTorch's exporter; parameters are inputs."""
    network = _copy_without_memory(part.network)
    simplify_layers(network)
    with torch.no_grad(), _shapes_inferred_without_weights(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the old exporter and branches on sizes
        torch.onnx.export(
            network,
            tuple(part.inputs.values()),
            path,
            dynamo=False,
            opset_version=OPSET,
            export_params=False,
            do_constant_folding=False,
            input_names=list(part.inputs),
            output_names=list(part.outputs),
            dynamic_axes=part.axes | part.outputs,
        )


@contextmanager
def _shapes_inferred_without_weights() -> Iterator[None]:
    """Hide parameters from the exporter's inference of shapes, which transposes and keeps them.

    Copies of most weights in fp32 would be in memory at once. The graph is the same.
    """
    exporter: Any = torch._C
    infer = exporter._jit_pass_onnx_graph_shape_type_inference
    exporter._jit_pass_onnx_graph_shape_type_inference = lambda graph, _, opset: infer(
        graph, {}, opset
    )
    try:
        yield
    finally:
        exporter._jit_pass_onnx_graph_shape_type_inference = infer


def shorten_names(graph: Graph) -> None:
    """Number values and weights, because their names would fill half of a small file."""
    own = graph.model.graph
    kept = {value.name for value in (*own.input, *own.output)} | {""}
    short: dict[str, str] = {}
    for node in own.node:
        for names in (node.input, node.output):
            for name in names:
                short.setdefault(name, name if name in kept else f"v{len(short)}")
            names[:] = [short[name] for name in names]
    for constant in own.initializer:
        constant.name = short[constant.name]
    graph.weights = {short[name]: array for name, array in graph.weights.items()}


def _copy_without_memory(network: nn.Module) -> nn.Module:
    """A copy of the network whose parameters are single numbers, expanded to their shapes.

    Each number is different, because the exporter would merge equal parameters.
    """
    memo: dict[int, Any] = {}
    for number, tensor in enumerate(network.parameters()):
        single = torch.tensor([1e-3 * (number + 1)])
        memo[id(tensor)] = nn.Parameter(single.expand(tensor.shape), requires_grad=False)
    return copy.deepcopy(network, memo).eval()


def _simplify_expand_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give Expand its sizes without the nodes that would replace -1 in them: no size is -1."""
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        while node.op_type == "Expand" and makers[node.input[1]].op_type in ("Where", "Reshape"):
            maker = makers[node.input[1]]
            node.input[1] = maker.input[2 if maker.op_type == "Where" else 0]
    return model


def _simplify(path: Path, out: Path) -> None:
    """Run ONNX Runtime's basic optimisations, such as folding of constants."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(out)
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _move_parameters_to_weights(graph: Graph, part: Part) -> None:
    """Move inputs that are parameters to the weights."""
    parameters = dict(part.network.named_parameters()) | dict(part.network.named_buffers())
    inputs = graph.model.graph.input
    for value in [value for value in inputs if value.name not in part.inputs]:
        graph.weights[value.name] = lazy_parameter(parameters[value.name])
        inputs.remove(value)


def _fold_weight_transposes(graph: Graph) -> None:
    """Fold nodes that only transpose a weight or add axes of length 1 into the weight."""
    constants = {c.name: numpy_helper.to_array(c) for c in graph.model.graph.initializer}
    for node in list(graph.nodes):
        source = graph.weights.get(node.input[0]) if node.input else None
        if source is None or node.op_type not in ("Transpose", "Unsqueeze"):
            continue
        if node.op_type == "Transpose":
            axes = tuple(helper.get_node_attr_value(node, "perm"))
            shape = tuple(source.shape[axis] for axis in axes)
        else:
            axes = tuple(map(int, constants[node.input[1]]))
            shape = np.expand_dims(np.broadcast_to(0, source.shape), axes).shape
        change = _transposed if node.op_type == "Transpose" else _expanded
        graph.weights[node.output[0]] = source.map(
            partial(change, axes=axes), shape, is_half=source.is_half
        )
        graph.nodes.remove(node)


def _transposed(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(axes))


def _expanded(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.expand_dims(array, axes)


def _clean_up_and_stamp(graph: Graph) -> None:
    """Remove what is unused, shorten names of nodes, and set opset, IR version and producer."""
    model = graph.model
    used = {name for node in graph.nodes for name in node.input}
    graph.weights = {name: array for name, array in graph.weights.items() if name in used}
    for constant in [c for c in model.graph.initializer if c.name not in used]:
        model.graph.initializer.remove(constant)
    del model.graph.value_info[:]
    for node in graph.nodes:  # its first output's name: names the module, and is unique
        node.name = node.output[0].removesuffix("_output_0")
    domains = {node.domain for node in graph.nodes}
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    if MICROSOFT in domains:
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version, model.doc_string = "dmm", "", ""
    del model.metadata_props[:]
