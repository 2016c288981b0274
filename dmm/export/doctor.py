"""The precision doctor: which nodes half precision would break, and what is done about each.

Norms, softmax and the embedding of the timestep are always in single precision: their kernels may
square or exponentiate what fits half precision into what does not, and their result is then finite
and wrong. For all other nodes the numbers of real runs decide. Where a stream of values is too
large, a power of two is folded into the weights around it; where that cannot be, the nodes that
make and read it stay in single precision.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from onnx import NodeProto

from .graph import Graph
from .half import LARGEST, to_half
from .probing import Activity
from .scaling import NORMS, PRODUCTS, Streams, find_streams, scale_streams
from .values import readers

HEADROOM = 4
"""Other prompts may reach so many times what the measured ones did."""
LIMIT = LARGEST / HEADROOM
TIMESTEP = re.compile(r"/(add_)?time_(proj|embedding)/|/add_embedding/")
"""Names of the nodes that embed timestep and sizes, in diffusers' UNets."""


@dataclass(frozen=True)
class Finding:
    """A node that is not simply computed in half precision."""

    node: str
    operator: str
    output: float
    """The largest absolute value that it made."""
    inside: float
    """The largest that it held meanwhile."""
    remedy: str
    """``fp32``, or ``2^-k``: how large its output is held instead."""
    why: str

    @property
    def largest(self) -> float:
        """What findings are sorted by."""
        return max(self.output, self.inside)


@dataclass(frozen=True)
class Plan:
    """How a graph is brought into half precision."""

    graph: Graph
    """In single precision, with powers of two folded into its weights."""
    keep: frozenset[str]
    """Names of the nodes that stay in single precision."""
    findings: tuple[Finding, ...]
    """The largest first."""

    def half(self) -> Graph:
        """The graph in half precision but for the nodes that are kept."""
        return to_half(self.graph, self.keep)


def diagnose(graph: Graph, activities: Sequence[Activity]) -> Plan:
    """Decide for every node from what it reached in real runs."""
    streams, by_node = find_streams(graph), {found.node: found for found in activities}
    powers = _powers(graph, by_node, streams)
    scaled = scale_streams(graph, streams, powers)
    patient = _Patient(graph, streams, powers, by_node)
    always = {node.name for node in graph.nodes if _is_delicate(node)}
    keep = always | patient.too_large() | _unfit_weights(scaled)
    findings = [patient.finding(node, keep, always) for node in graph.nodes if node.name in by_node]
    kept = sorted(filter(None, findings), key=lambda finding: -finding.largest)
    return Plan(scaled, frozenset(keep), tuple(kept))


def _is_delicate(node: NodeProto) -> bool:
    return node.op_type in (*NORMS, "Softmax") or bool(TIMESTEP.search(node.name))


def _powers(graph: Graph, by_node: dict[str, Activity], streams: Streams) -> dict[str, int]:
    """The power by which each stream must be held smaller; only of streams that may be scaled."""
    peaks: dict[str, float] = {}
    for node in graph.nodes:
        found = by_node.get(node.name)
        if found is None:
            continue
        stream = streams.of(node.output[0])
        inside = found.inside if node.op_type in PRODUCTS else 0.0
        peaks[stream] = max(peaks.get(stream, 0.0), found.output, inside)
        if node.op_type == "MultiHeadAttention":  # smaller queries make smaller products
            queries = streams.of(node.input[0])
            peaks[queries] = max(peaks.get(queries, 0.0), found.inside)
    return {
        stream: math.ceil(math.log2(peaks[stream] / LIMIT))
        for stream in streams.free()
        if LIMIT < peaks.get(stream, 0.0) < math.inf
    }


@dataclass(frozen=True)
class _Patient:
    """A graph under examination."""

    graph: Graph
    streams: Streams
    powers: dict[str, int]
    by_node: dict[str, Activity]

    def power(self, value: str) -> int:
        """By which a value is held smaller."""
        return self.powers.get(self.streams.of(value), 0) if value in self.streams.parent else 0

    def remaining(self, node: NodeProto) -> tuple[float, float]:
        """Output and inside of a node once streams are scaled."""
        found = self.by_node[node.name]
        held = self.power(node.output[0])
        inner = held
        if node.op_type == "MultiHeadAttention":
            inner = self.power(node.input[0]) + self.power(node.input[1])
        return found.output * 2.0**-held, found.inside * 2.0**-inner

    def too_large(self) -> set[str]:
        """Nodes that make, hold or read a number beyond the limit."""
        names, read_by = set(), readers(self.graph)
        for node in self.graph.nodes:
            if node.name not in self.by_node:
                continue
            output, inside = self.remaining(node)
            if output > LIMIT:
                names.add(node.name)
                names.update(reader.name for made in node.output for reader in read_by[made])
            elif inside > LIMIT:
                names.add(node.name)
        return names

    def finding(self, node: NodeProto, keep: set[str], always: set[str]) -> Finding | None:
        """What is to be said of a node, if anything."""
        found, held = self.by_node[node.name], self.power(node.output[0])
        output, inside = self.remaining(node)
        if node.name in always:
            why = "norm, softmax or timestep"
            if found.inside > LARGEST:
                why += f"; written out, its squares reach {found.inside:,.0f}"
        elif node.name in keep:
            limits = ((output, "makes"), (inside, "sums up to"))
            large = next(((value, verb) for value, verb in limits if value > LIMIT), None)
            why = f"{large[1]} {large[0]:,.0f}" if large else "reads or is weighted by too much"
        elif held and max(found.output, found.inside) > LIMIT:
            why = f"made {max(found.output, found.inside):,.0f}"
        else:
            return None
        remedy = "fp32" if node.name in keep else f"2^-{held}"
        return Finding(node.name, node.op_type, found.output, found.inside, remedy, why)


def _unfit_weights(graph: Graph) -> set[str]:
    """Nodes whose weights are beyond half precision."""
    read_by = readers(graph)
    unfit = (name for name, array in graph.weights.items() if np.abs(array.load()).max() > LARGEST)
    return {reader.name for name in unfit for reader in read_by[name]}


def summary(findings: Sequence[Finding], most: int = 20) -> Iterator[str]:
    """Lines for a person, the largest numbers first."""
    for finding in findings[:most]:
        yield f"{finding.remedy:>6}  {finding.largest:>14,.0f}  {finding.node}  ({finding.why})"
    if len(findings) > most:
        yield f"{'':>6}  and {len(findings) - most} more"
