"""Convert a traced part to a precision, comparing its fp32 graph with PyTorch on the way."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..bundles.schema import Precision
from .comparing import relative_error
from .doctor import HalfPrecisionPlan, NodeFinding, diagnose
from .emulation import emulate_half
from .graph import Graph
from .half import to_half
from .probing import open_probe
from .quantize import quantize
from .reference import Call, RecordedClip, TokenIds
from .rounding import reduce_rounding
from .running import RunGraph, open_graph

BITS = {"int8": 8, "int4": 4}
COMPARED_CALLS = 3
"""Calls per clip that the fp32 graph is compared on, where the doctor does not run them all."""


@dataclass(frozen=True)
class Precisions:
    """Precision of each part."""

    unet: Precision = "mixed"
    text_encoders: Precision = "mixed"
    vae: Precision = "mixed"

    def of_part(self, part: str) -> Precision:
        """Precision of a part, by its name in the bundle."""
        if part == "unet":
            return self.unet
        return self.vae if part == "vae_decoder" else self.text_encoders


@dataclass(frozen=True)
class Converted:
    """A part in its final precision."""

    graph: Graph
    findings: tuple[NodeFinding, ...] = ()
    """The doctor's, for ``mixed``."""
    fp32_error: float | None = None
    """Largest relative error of the fp32 graph in ONNX Runtime; None where that is the result."""


def doctor_calls(name: str, precision: Precision, clips: Sequence[RecordedClip]) -> int:
    """Number of times that ``convert_part`` calls ``on_call``."""
    return sum(clip.call_count(name) for clip in clips) if precision == "mixed" else 0


def convert_part(
    name: str,
    graph: Graph,
    precision: Precision,
    clips: Sequence[RecordedClip],
    ids: TokenIds,
    near: Path,
    on_call: Callable[[], object],
) -> Converted:
    """Convert a part's fp32 graph; temporary files go into the folder ``near``.

    ``on_call`` is called after each call that the doctor measures.
    """
    calls = (call for clip in clips for call in clip.calls(name, ids))
    if precision == "mixed":
        with open_probe(graph, near) as probe:
            error = _largest_error(probe, calls, on_call)
            if name == "vae_decoder":  # its call is a strip; whole images have larger extremes
                for clip in clips:
                    probe({"latents": clip.latents})
        peaks = probe.peaks()

        def half_error(plan: HalfPrecisionPlan) -> float:
            with open_graph(emulate_half(plan.half()), near) as run:
                return _largest_error(run, _first_middle_last(clips[0].calls(name, ids)))

        plan = reduce_rounding(diagnose(graph, peaks), peaks, half_error)
        return Converted(plan.half(), plan.findings, error)
    if precision == "fp32":
        return Converted(graph)
    with open_graph(graph, near) as run:
        error = _largest_error(run, islice(calls, COMPARED_CALLS))
    if precision == "fp16":
        return Converted(to_half(graph), (), error)
    return Converted(quantize(graph, BITS[precision]), (), error)


def _first_middle_last(calls: Iterable[Call]) -> list[Call]:
    """The first, the middle and the last call."""
    found = list(calls)
    return [found[place] for place in sorted({0, len(found) // 2, len(found) - 1})]


def _largest_error(
    run: RunGraph, calls: Iterable[Call], on_call: Callable[[], object] = lambda: None
) -> float:
    """Largest relative error of any output over all calls."""
    largest = 0.0
    for inputs, outputs in calls:
        pairs = zip(run(inputs), outputs, strict=True)
        largest = max(largest, *(relative_error(found, expected) for found, expected in pairs))
        on_call()
    return largest
