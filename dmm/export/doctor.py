"""The precision doctor: find nodes that overflow in half precision, and decide what to do.

Norms, softmax and the embedding of the timestep always stay in fp32: their kernels may square or
exponentiate a number that fits fp16 into one that does not, and the result is then finite and
wrong. All other nodes are judged by their largest numbers in real runs. Where a stream of values is
too large, a power of two is folded into the weights around it. Where that is impossible, the nodes
that make and read the values stay in fp32.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from .graph import Graph
from .half import LARGEST, to_half
from .probing import NodePeaks
from .scaling import NORMS, PRODUCTS, Streams, find_streams, with_scaled_streams
from .values import readers_by_value

HEADROOM = 4
"""Factor by which other prompts may exceed the measured ones."""
LIMIT = LARGEST / HEADROOM
TIMESTEP = re.compile(r"/(add_)?time_(proj|embedding)/|/add_embedding/")
"""Names of the nodes that embed timestep and sizes in diffusers' UNets."""


@dataclass(frozen=True)
class NodeFinding:
    """A node that is scaled or kept in fp32."""

    node: str
    operator: str
    output: float
    """Largest absolute value of its output."""
    inside: float
    """Largest absolute value while it computes."""
    remedy: str
    """``fp32``, or ``2^-k``: the factor by which its output is scaled."""
    why: str

    @property
    def largest(self) -> float:
        """The larger of both; findings are sorted by it."""
        return max(self.output, self.inside)


@dataclass(frozen=True)
class HalfPrecisionPlan:
    """How to convert a graph to half precision."""

    graph: Graph
    """In fp32, with powers of two folded into its weights."""
    keep: frozenset[str]
    """Names of the nodes that stay in fp32."""
    findings: tuple[NodeFinding, ...]
    """Largest first."""

    def half(self) -> Graph:
        """The graph in half precision, except the nodes to keep."""
        return to_half(self.graph, self.keep)


def diagnose(graph: Graph, peaks: Sequence[NodePeaks]) -> HalfPrecisionPlan:
    """Decide for every node by its peaks in real runs."""
    streams, peaks_of = find_streams(graph), {found.node: found for found in peaks}
    powers = _scaling_powers(graph, peaks_of, streams)
    scaled = with_scaled_streams(graph, streams, powers)
    diagnosis = _Diagnosis(graph, streams, powers, peaks_of)
    always = {node.name for node in graph.nodes if _needs_fp32(node)}
    keep = always | diagnosis.nodes_above_limit() | _nodes_with_large_weights(scaled)
    measured = [node for node in graph.nodes if node.name in peaks_of]
    findings = [diagnosis.finding(node, keep, always) for node in measured]
    kept = sorted(filter(None, findings), key=lambda finding: -finding.largest)
    return HalfPrecisionPlan(scaled, frozenset(keep), tuple(kept))


def _needs_fp32(node: NodeProto) -> bool:
    return node.op_type in (*NORMS, "Softmax") or bool(TIMESTEP.search(node.name))


def _scaling_powers(
    graph: Graph, peaks_of: dict[str, NodePeaks], streams: Streams
) -> dict[str, int]:
    """Powers of two by which streams are scaled down; only streams that may be scaled."""
    peaks: dict[str, float] = {}
    for node in graph.nodes:
        found = peaks_of.get(node.name)
        if found is None:
            continue
        stream = streams.stream_of(node.output[0])
        inside = found.inside if node.op_type in PRODUCTS else 0.0
        peaks[stream] = max(peaks.get(stream, 0.0), found.output, inside)
        if node.op_type == "MultiHeadAttention":  # smaller queries make smaller products
            queries = streams.stream_of(node.input[0])
            peaks[queries] = max(peaks.get(queries, 0.0), found.inside)
    return {
        stream: math.ceil(math.log2(peaks[stream] / LIMIT))
        for stream in streams.scalable()
        if LIMIT < peaks.get(stream, 0.0) < math.inf
    }


@dataclass(frozen=True)
class _Diagnosis:
    """A graph, the powers for its streams, and the peaks of its nodes."""

    graph: Graph
    streams: Streams
    powers: dict[str, int]
    peaks_of: dict[str, NodePeaks]

    def power(self, value: str) -> int:
        """The power by which a value is scaled down."""
        return (
            self.powers.get(self.streams.stream_of(value), 0) if value in self.streams.parent else 0
        )

    def peaks_after_scaling(self, node: NodeProto) -> tuple[float, float]:
        """A node's largest output and inside after scaling."""
        found = self.peaks_of[node.name]
        held = self.power(node.output[0])
        inner = held
        if node.op_type == "MultiHeadAttention":
            inner = self.power(node.input[0]) + self.power(node.input[1])
        return found.output * 2.0**-held, found.inside * 2.0**-inner

    def nodes_above_limit(self) -> set[str]:
        """Nodes that make, hold or read a number above the limit."""
        names, read_by = set(), readers_by_value(self.graph)
        for node in self.graph.nodes:
            if node.name not in self.peaks_of:
                continue
            output, inside = self.peaks_after_scaling(node)
            if output > LIMIT:
                names.add(node.name)
                names.update(reader.name for made in node.output for reader in read_by[made])
            elif inside > LIMIT:
                names.add(node.name)
        return names

    def finding(self, node: NodeProto, keep: set[str], always: set[str]) -> NodeFinding | None:
        """The finding about a node; None if it simply becomes fp16."""
        found, held = self.peaks_of[node.name], self.power(node.output[0])
        output, inside = self.peaks_after_scaling(node)
        if node.name in always:
            why = "norm, softmax or timestep"
            if found.inside > LARGEST:
                why += f"; decomposed, its squares reach {found.inside:,.0f}"
        elif node.name in keep:
            limits = ((output, "output"), (inside, "partial sums"))
            large = next(((value, verb) for value, verb in limits if value > LIMIT), None)
            why = f"{large[1]} {large[0]:,.0f}" if large else "its input or weights are too large"
        elif held and max(found.output, found.inside) > LIMIT:
            why = f"reached {max(found.output, found.inside):,.0f}"
        else:
            return None
        remedy = "fp32" if node.name in keep else f"2^-{held}"
        return NodeFinding(node.name, node.op_type, found.output, found.inside, remedy, why)


def _nodes_with_large_weights(graph: Graph) -> set[str]:
    """Nodes with weights that exceed half precision."""
    read_by = readers_by_value(graph)
    unfit = (name for name, array in graph.weights.items() if np.abs(array.load()).max() > LARGEST)
    return {reader.name for name in unfit for reader in read_by[name]}


def finding_lines(findings: Sequence[NodeFinding], most: int = 20) -> Iterator[str]:
    """One line a finding, largest numbers first."""
    for finding in findings[:most]:
        yield f"{finding.remedy:>6}  {finding.largest:>14,.0f}  {finding.node}  ({finding.why})"
    if len(findings) > most:
        yield f"{'':>6}  and {len(findings) - most} more"
