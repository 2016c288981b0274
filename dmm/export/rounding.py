"""Keep cheap nodes in fp32 where rounding makes half precision too inexact.

A residual stream that is large beside what later layers read of it loses their digits at every sum,
without any overflow. Sums and elementwise products have no weights, so keeping them in fp32 adds no
bytes to the files.
"""

from collections.abc import Callable
from dataclasses import replace

from .doctor import HalfPrecisionPlan, NodeFinding
from .probing import NodePeaks

LIMIT = 7.5e-3
"""Relative error of a part that needs no more nodes in fp32: three quarters of the export's."""
GROUPS = (("Add",), ("Mul", "Div", "Sub", "Sigmoid", "Gelu"))
"""Operators without weights, tried one group after another."""


def reduce_rounding(
    plan: HalfPrecisionPlan, peaks: list[NodePeaks], error: Callable[[HalfPrecisionPlan], float]
) -> HalfPrecisionPlan:
    """Keep groups of operators in fp32 until ``error`` of the plan is small enough."""
    peaks_of = {found.node: found for found in peaks}
    for operators in GROUPS:
        found = error(plan)
        if found <= LIMIT:
            break
        why = f"rounding: relative error was {found:.1e}"
        nodes = [
            peaks_of[node.name]
            for node in plan.graph.nodes
            if node.op_type in operators and node.name in peaks_of.keys() - plan.keep
        ]
        findings = [
            NodeFinding(node.node, node.operator, node.output, node.inside, "fp32", why)
            for node in nodes
        ]
        ordered = sorted((*plan.findings, *findings), key=lambda finding: -finding.largest)
        keep = plan.keep | {node.node for node in nodes}
        plan = replace(plan, keep=keep, findings=tuple(ordered))
    return plan
