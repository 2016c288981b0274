"""A traced part in the precision that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..bundles.schema import Precision
from .doctor import Finding, diagnose
from .graph import Graph
from .half import to_half
from .probing import Activity, Probe
from .quantize import quantize
from .reference import Clip, Ids

BITS = {"int8": 8, "int4": 4}


@dataclass(frozen=True)
class Precisions:
    """What each part is computed in."""

    unet: Precision = "mixed"
    text_encoders: Precision = "mixed"
    vae: Precision = "mixed"

    def of(self, part: str) -> Precision:
        """A part's, by its name in the bundle."""
        if part == "unet":
            return self.unet
        return self.vae if part == "vae_decoder" else self.text_encoders


def examine(
    name: str, graph: Graph, clips: Sequence[Clip], ids: Ids, near: Path, device: str
) -> list[Activity]:
    """What a part's nodes reach in all steps of some clips; a folder ``near`` is used meanwhile."""
    probe = Probe(graph, near, device)
    for clip in clips:
        if name == "vae_decoder":
            probe({"latents": clip.latents})
            continue
        for inputs, _ in clip.calls(name, ids):
            probe(inputs)
    return probe.activities()


def in_precision(
    name: str,
    graph: Graph,
    precision: Precision,
    clips: Sequence[Clip],
    ids: Ids,
    near: Path,
    device: str = "cpu",
) -> tuple[Graph, tuple[Finding, ...]]:
    """The part in a precision, and what the doctor found where it was asked."""
    if precision == "mixed":
        plan = diagnose(graph, examine(name, graph, clips, ids, near, device))
        return plan.half(), plan.findings
    if precision == "fp16":
        return to_half(graph), ()
    if precision in BITS:
        return quantize(graph, BITS[precision]), ()
    return graph, ()
