"""Check that ONNX Runtime Web has a WebGPU kernel for every node with float or 8-bit values.

A node without one runs on the CPU, and its inputs and outputs are copied between the two at every
step. Arithmetic on shapes (64-bit integers) runs on the CPU by design, without that cost.
"""

from functools import cache

from onnx import NodeProto, TensorProto

from ..engine import ROOT
from ..files import read_json
from .graph import Graph
from .values import element_types

TABLE = ROOT / "presets" / "webgpu-operators.json"
"""Kernels of two providers, with their sources: ``jsep`` (the default import) and ``native``
(``onnxruntime-web/webgpu``)."""
NUMBERS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8)
NATIVE_ONLY = {("MatMulNBits", 8), ("GatherBlockQuantized", 8)}
"""Only the native provider has 8-bit kernels of these."""


def nodes_without_kernel(graph: Graph, provider: str = "native") -> list[str]:
    """Each float or 8-bit node without a WebGPU kernel, as "NAME (reason)".

    ``provider`` is ``native`` or ``jsep``.
    """
    opsets = {found.domain or "ai.onnx": found.version for found in graph.model.opset_import}
    types = element_types(graph)
    found = []
    for node in graph.nodes:
        names = [name for name in (*node.input, *node.output) if name]
        computes = any(types[name] in NUMBERS for name in names) and node.op_type != "Shape"
        reason = _reason(node, opsets, provider) if computes else None
        if reason:
            found.append(f"{node.name} ({reason})")
    return found


def _reason(node: NodeProto, opsets: dict[str, int], provider: str) -> str | None:
    domain = node.domain or "ai.onnx"
    span = _operators(provider).get(domain, {}).get(node.op_type)
    if span is None:
        return f"{node.op_type}: no WebGPU kernel"
    bits = next((a.i for a in node.attribute if a.name == "bits"), None)
    if provider == "jsep" and (node.op_type, bits) in NATIVE_ONLY:
        return f"{node.op_type} of {bits} bits: needs onnxruntime-web/webgpu"
    first, last = span
    if not (first or 1) <= opsets[domain] <= (last or opsets[domain]):
        return f"{node.op_type}: kernels of opset {first} to {last}, not {opsets[domain]}"
    return None


@cache
def _operators(provider: str) -> dict[str, dict[str, list[int | None]]]:
    return read_json(TABLE)[provider]["operators"]
