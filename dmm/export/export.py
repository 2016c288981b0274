"""A checkpoint as a bundle: ONNX networks, tokeniser, mel format, description (docs/bundle.md).

Networks go one after another, and their weights one at a time, so that SDXL needs little more
memory than its checkpoint.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..bundles.folder import read_description
from ..bundles.schema import FILE, Bundle, Tensor
from ..bundles.schema import Part as StoredPart
from ..errors import ModelError
from ..files import refuse_filled, whole_folder, write_text
from ..generation.loading import Lora
from ..generation.settings import GenerationSettings
from ..progress import progress_bar
from . import parity, reference
from .describing import describe
from .doctor import Finding
from .graph import OPSET, Graph, shorten_names, trace
from .memory import forecast
from .operators import left_to_the_cpu
from .precision import Precisions, in_precision
from .scoring import Judge
from .source import Source
from .writing import stored, write_graph

DOCTOR = "doctor.json"
EXAMINED = 2
"""Prompts that the doctor runs through all steps."""
GO_WELL = 8
"""Prompts that are suggested to whoever plays the bundle."""


@dataclass(frozen=True)
class Order:
    """What is exported, and how."""

    model: Path
    settings: GenerationSettings
    prompts: tuple[str, ...]
    loras: tuple[Lora, ...] = ()
    precisions: Precisions = field(default_factory=Precisions)
    shard_mb: int = 256
    static: bool = False
    """Fixed sizes: one row, the format's width."""
    music: tuple[str, ...] = ()
    """Licences of the music behind the weights, beside those that files tell of."""


def export(order: Order, out: Path, judge: Judge | None = None) -> Bundle:
    """Write a bundle, whole or not at all, and compare it with PyTorch.

    A ``judge`` listens to a clip of every prompt, of both. InputError where ``out`` holds something
    already; ModelError for files that do not load, a part that is too far from PyTorch, and a node
    that WebGPU has no kernel for.
    """
    refuse_filled(out)
    with whole_folder(out) as folder:
        _write(order, folder, out.name, judge)
        bundle = read_description(folder)
        rows = list(parity.measure(folder, bundle, judge))
        parity.refuse_failed(out, bundle, rows)
        bundle = bundle.model_copy(update={"parity": rows})
        _save(folder, bundle)
    return bundle


def diagnose_only(order: Order, near: Path) -> dict[str, tuple[Finding, ...]]:
    """What the doctor finds in each part, the largest first; ``near`` is used meanwhile."""
    source = Source(order.model, order.settings, order.loras)
    clips = _clips(source, order)
    return {
        name: in_precision(name, trace(part), "mixed", clips, source.ids, near)[1]
        for name, part in source.parts.items()
    }


def _write(order: Order, folder: Path, name: str, judge: Judge | None) -> None:
    """Everything but the comparison, so that the pipeline's memory is free for it."""
    source = Source(order.model, order.settings, order.loras)
    clips, prompts = _clips(source, order), order.prompts
    extra: dict[str, np.ndarray] = {}
    if judge:
        heard = source.heard(judge, prompts)
        extra = parity.as_arrays(judge.name, prompts, heard)
        best = np.argsort(-heard.follows, kind="stable")
        prompts = tuple(dict.fromkeys(prompts[i] for i in best))
    clips[0].save(folder / reference.FILE, **extra)
    bundle = describe(folder, name, source, prompts[:GO_WELL], order.music)
    parts, findings = {}, {}
    with progress_bar("export", len(source.parts)) as advance:
        for part in list(source.parts):
            parts[part], findings[part] = _export(part, source, order, clips, folder)
            source.release(part)
            advance(note=part)
    told = {part: [asdict(finding) for finding in found] for part, found in findings.items()}
    write_text(folder / DOCTOR, json.dumps(told, indent=1) + "\n")
    others = {
        "parts": parts,
        "reference": stored(folder / reference.FILE),
        "doctor": stored(folder / DOCTOR),
    }
    _save(folder, bundle.model_copy(update=others))


def _export(
    name: str, source: Source, order: Order, clips: Sequence[reference.Clip], folder: Path
) -> tuple[StoredPart, tuple[Finding, ...]]:
    """Write one part in its precision."""
    part = source.parts[name]
    precision, sizes = order.precisions.of(name), source.sizes(rows=1)
    traced = trace(part.fixed(sizes) if order.static else part)
    graph, findings = in_precision(name, traced, precision, clips, source.ids, folder.parent)
    if outside := left_to_the_cpu(graph):
        raise ModelError(f"{source.model}: {name} would leave the GPU: {'; '.join(outside[:3])}")
    shorten_names(graph)
    file, shards = write_graph(graph, folder / f"{name}.onnx", order.shard_mb * 2**20)
    rows = 1 if order.static else source.rows
    return StoredPart(
        model=file,
        data=shards,
        precision=precision,
        opset=OPSET,
        memory=forecast(graph, source.sizes(rows)),
        **_signature(graph),
    ), findings


def _clips(source: Source, order: Order) -> list[reference.Clip]:
    """Clips of the first prompts, by PyTorch in single precision."""
    trials = [
        source.trial(prompt, seed, order.static)
        for seed, prompt in enumerate(order.prompts[:EXAMINED])
    ]
    steps = sum(trial.sampling.steps for trial in trials)
    with progress_bar("compute with PyTorch", steps) as advance:
        return [
            reference.compute(source.run, source.ids, trial, lambda *_: advance())
            for trial in trials
        ]


def _save(folder: Path, bundle: Bundle) -> None:
    write_text(folder / FILE, bundle.model_dump_json(indent=1) + "\n")


def _signature(graph: Graph) -> dict[str, Any]:
    """Names, types and axes of a graph's inputs and outputs."""
    own = graph.model.graph
    return {
        "inputs": {value.name: _tensor(value) for value in own.input},
        "outputs": {value.name: _tensor(value) for value in own.output},
    }


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    shape = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    is_float = kind.elem_type == onnx.TensorProto.FLOAT
    return Tensor(dtype="float32" if is_float else "int32", shape=shape)
