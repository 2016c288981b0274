"""Export a checkpoint as a bundle of ONNX networks (docs/bundle.md), behind ``dmm export``.

Networks are converted one after another and their weights one at a time, so that memory holds
little more than the checkpoint and one network in fp32.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..bundles.folder import read_description
from ..bundles.schema import FILE, Bundle, Parity, Tensor
from ..bundles.schema import Part as StoredPart
from ..codec.mel import MelFormat
from ..errors import ModelError
from ..files import output_lock, refuse_non_empty, whole_folder, write_text
from ..generation.loading import Lora
from ..generation.prompts import gather_prompts
from ..generation.settings import GenerationSettings
from ..progress import progress_bar
from . import parity, reference
from .describing import describe_checkpoint
from .doctor import NodeFinding
from .graph import OPSET, Graph, shorten_names, trace
from .memory import forecast_memory
from .operators import nodes_without_kernel
from .precision import Precisions, convert_part, doctor_calls
from .scoring import ClipScorer
from .source import Source
from .writing import describe_file, write_graph

DOCTOR = "doctor.json"
DOCTOR_PROMPTS = 2
"""Number of prompts that the doctor runs through all steps."""
SUGGESTED_PROMPTS = 8
"""Number of prompts in ``bundle.json``."""


@dataclass(frozen=True)
class ExportOptions:
    """What to export, and how."""

    model: Path
    settings: GenerationSettings
    prompts: tuple[str, ...]
    loras: tuple[Lora, ...] = ()
    precisions: Precisions = field(default_factory=Precisions)
    shard_mb: int = 256
    static: bool = False
    """Fix all axes: a batch of one, images as wide as the format."""
    music: tuple[str, ...] = ()
    """Licences of the training music, in addition to those in the files' metadata."""


def default_prompts(fmt: MelFormat, count: int = SUGGESTED_PROMPTS) -> tuple[str, ...]:
    """Prompts of the grammar that fits a mel format: MiniMIDI's for nano, else that of music."""
    grammar = "minimidi" if fmt.name == "nano" else "music"
    return tuple(gather_prompts((), None, grammar, count, seed=0))


def export(options: ExportOptions, out: Path, scorer: ClipScorer | None = None) -> Bundle:
    """Write a bundle, completely or not at all, after comparing it with PyTorch.

    A ``scorer`` scores a clip of every prompt, by PyTorch and by the bundle. InputError if ``out``
    is not empty, or another command writes it; ModelError for files that do not load, a part that
    is too far from PyTorch, and a node without a WebGPU kernel.
    """
    with output_lock(out):
        refuse_non_empty(out)
        with whole_folder(out) as folder:
            rows = _write(options, folder, out.name, scorer)
            bundle = read_description(folder)
            parity.raise_on_failure(out, bundle, rows)
            rows += parity.measure_parity(folder, bundle, scorer)
            parity.raise_on_failure(out, bundle, rows)
            bundle = bundle.model_copy(update={"parity": rows})
            _write_description(folder, bundle)
    return bundle


def diagnose_only(options: ExportOptions, near: Path) -> dict[str, tuple[NodeFinding, ...]]:
    """The doctor's findings by part, largest first; temporary files go into ``near``."""
    source = Source(options.model, options.settings, options.loras)
    clips = _record_reference_clips(source, options)
    calls = sum(doctor_calls(name, "mixed", clips) for name in source.parts)
    with progress_bar("doctor", calls) as advance:
        return {
            name: convert_part(
                name, trace(part), "mixed", clips, source.ids, near, advance
            ).findings
            for name, part in source.parts.items()
        }


def _write(
    options: ExportOptions, folder: Path, name: str, scorer: ClipScorer | None
) -> list[Parity]:
    """Write all files; returns how far the fp32 graphs are from PyTorch.

    Each PyTorch network is freed once it is written.
    """
    source = Source(options.model, options.settings, options.loras)
    clips, prompts = _record_reference_clips(source, options), options.prompts
    scored: dict[str, np.ndarray] = {}
    if scorer:
        scores = source.scores(scorer, prompts)
        scored = parity.scores_as_arrays(scorer.name, prompts, scores)
        best_first = np.argsort(-scores.similarities, kind="stable")
        prompts = tuple(dict.fromkeys(prompts[i] for i in best_first))
    clips[0].save(folder / reference.FILE, **scored)
    bundle = describe_checkpoint(folder, name, source, prompts[:SUGGESTED_PROMPTS], options.music)
    written = []
    calls = sum(
        doctor_calls(part, options.precisions.of_part(part), clips) for part in source.parts
    )
    with progress_bar("export", len(source.parts) + calls) as advance:
        for part in list(source.parts):
            written.append(_export_part(part, source, options, clips, folder, advance))
            source.release(part)
            advance(note=part)
    findings = {part.name: [asdict(found) for found in part.findings] for part in written}
    write_text(folder / DOCTOR, json.dumps(findings, indent=1) + "\n")
    files = {
        "parts": {part.name: part.stored for part in written},
        "reference": describe_file(folder / reference.FILE),
        "doctor": describe_file(folder / DOCTOR),
    }
    _write_description(folder, bundle.model_copy(update=files))
    return [
        parity.part_row(part.name, "fp32", part.fp32_error)
        for part in written
        if part.fp32_error is not None
    ]


@dataclass(frozen=True)
class _WrittenPart:
    """A part whose files are written."""

    name: str
    stored: StoredPart
    findings: tuple[NodeFinding, ...]
    fp32_error: float | None


def _export_part(
    name: str,
    source: Source,
    options: ExportOptions,
    clips: Sequence[reference.RecordedClip],
    folder: Path,
    on_call: Callable[[], object],
) -> _WrittenPart:
    """Write one part in its precision."""
    part = source.parts[name]
    precision = options.precisions.of_part(name)
    traced = trace(part.fixed(source.sizes(rows=1)) if options.static else part)
    converted = convert_part(name, traced, precision, clips, source.ids, folder.parent, on_call)
    graph = converted.graph
    if nodes := nodes_without_kernel(graph):
        raise ModelError(f"{source.model}: {name} cannot run on WebGPU: {'; '.join(nodes[:3])}")
    shorten_names(graph)
    file, shards = write_graph(graph, folder / f"{name}.onnx", options.shard_mb * 2**20)
    rows = 1 if options.static else source.rows
    part = StoredPart(
        model=file,
        data=shards,
        precision=precision,
        opset=OPSET,
        memory=forecast_memory(graph, source.sizes(rows)),
        **_signature(graph),
    )
    return _WrittenPart(name, part, converted.findings, converted.fp32_error)


def _record_reference_clips(source: Source, options: ExportOptions) -> list[reference.RecordedClip]:
    """Record all networks' inputs and outputs while PyTorch samples the first prompts in fp32."""
    sampling_runs = [
        source.sampling_run(prompt, seed, options.static)
        for seed, prompt in enumerate(options.prompts[:DOCTOR_PROMPTS])
    ]
    steps = sum(sampling_run.sampling.steps for sampling_run in sampling_runs)
    with progress_bar("compute with PyTorch", steps) as advance:
        return [
            reference.sample_clip(source.run, source.ids, sampling_run, lambda *_: advance())
            for sampling_run in sampling_runs
        ]


def _write_description(folder: Path, bundle: Bundle) -> None:
    write_text(folder / FILE, bundle.model_dump_json(indent=1) + "\n")


def _signature(graph: Graph) -> dict[str, Any]:
    """Names, types and axes of a graph's inputs and outputs."""
    own = graph.model.graph
    return {
        "inputs": {value.name: _describe_tensor(value) for value in own.input},
        "outputs": {value.name: _describe_tensor(value) for value in own.output},
    }


def _describe_tensor(value: onnx.ValueInfoProto) -> Tensor:
    kind = value.type.tensor_type
    shape = [axis.dim_param or axis.dim_value for axis in kind.shape.dim]
    is_float = kind.elem_type == onnx.TensorProto.FLOAT
    return Tensor(dtype="float32" if is_float else "int32", shape=shape)
