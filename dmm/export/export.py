"""A checkpoint as a bundle: ONNX networks, tokeniser, mel format, description (docs/bundle.md).

Networks go one after another, and their weights one at a time, so that SDXL needs little more
memory than its checkpoint.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from ..bundles.schema import FILE, Tensor
from ..bundles.schema import Part as StoredPart
from ..files import refuse_filled, whole_folder, write_text
from ..generation.loading import Lora, open_pipeline
from ..generation.recipe import Recipe
from ..progress import progress_bar
from .describing import describe
from .graph import OPSET, Graph, trace
from .parts import bundle_parts
from .writing import write_graph


def export(
    model: Path,
    out: Path,
    recipe: Recipe,
    loras: Sequence[Lora] = (),
    shard_mb: int = 256,
    prompts: Sequence[str] = (),
) -> None:
    """Write a bundle; it is whole or absent.

    InputError where ``out`` holds something already, ModelError for files that do not load.
    """
    refuse_filled(out)
    pipeline = open_pipeline(model, loras, device="cpu", precision="fp32")
    parts: dict[str, StoredPart] = {}
    total = len(list(bundle_parts(pipeline, recipe.clip_skip)))
    with whole_folder(out) as folder, progress_bar("export", total) as advance:
        for part in bundle_parts(pipeline, recipe.clip_skip):
            graph = trace(part)
            path = folder / f"{part.name}.onnx"
            file, shards = write_graph(graph, path, shard_mb * 2**20)
            parts[part.name] = StoredPart(
                model=file, data=shards, precision="fp32", opset=OPSET, **_signature(graph)
            )
            advance(note=part.name)
        bundle = describe(folder, out.name, pipeline, model, loras, recipe, parts, prompts)
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
