"""Write a graph as an ONNX file with weights in shards beside it, one array at a time."""

import hashlib
from collections.abc import Iterator, Set
from pathlib import Path
from typing import IO

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from ..bundles.schema import StoredFile
from ..files import sha256_file
from .graph import Graph

INLINE_BYTES = 2**20
"""If all weights together are smaller, the graph's file holds them; otherwise all are in shards."""
INLINE_ARRAY_BYTES = 1024
"""Smaller arrays are always in the graph's file: each reference to a shard takes 80 bytes there."""
PAGE, MAPPED_BYTES = 4096, 2**20
"""Arrays of MAPPED_BYTES or more start at a multiple of PAGE, so a runtime can map them."""


def write_graph(graph: Graph, path: Path, shard_bytes: int) -> tuple[StoredFile, list[StoredFile]]:
    """Write ``path`` and, unless it is small, shards ``path``.data-00000 and so on.

    A shard holds up to ``shard_bytes``, or one array that is larger. Returns the files as
    ``bundle.json`` lists them.
    """
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    total = sum(array.nbytes for array in graph.weights.values())
    limit = INLINE_BYTES if total < INLINE_BYTES else INLINE_ARRAY_BYTES
    large = {name for name, array in graph.weights.items() if array.nbytes >= limit}
    for name, array in graph.weights.items():
        if name not in large:
            model.graph.initializer.append(numpy_helper.from_array(array.load(), name))
    shards = list(_write_shards_and_refer(graph, model, large, path, shard_bytes))
    path.write_bytes(model.SerializeToString())
    return describe_file(path), shards


def describe_file(path: Path) -> StoredFile:
    """A file as ``bundle.json`` lists it, by its name alone."""
    return StoredFile(file=path.name, bytes=path.stat().st_size, sha256=sha256_file(path))


def _write_shards_and_refer(
    graph: Graph, model: onnx.ModelProto, large: Set[str], path: Path, shard_bytes: int
) -> Iterator[StoredFile]:
    """Write each shard, add references to its weights to the model, and yield its description."""
    for number, names in enumerate(_shares(graph, large, shard_bytes)):
        shard = path.with_name(f"{path.name}.data-{number:05}")
        with shard.open("wb") as file:
            digest = hashlib.sha256()
            for name in names:
                data = np.ascontiguousarray(graph.weights[name].load())
                padding = bytes(-file.tell() % (PAGE if data.nbytes >= MAPPED_BYTES else 16))
                digest.update(padding)
                file.write(padding)
                model.graph.initializer.append(_reference(name, data, shard.name, file))
                digest.update(data.data)
                file.write(data.data)
            size = file.tell()
        yield StoredFile(file=shard.name, bytes=size, sha256=digest.hexdigest())


def _shares(graph: Graph, large: Set[str], shard_bytes: int) -> Iterator[list[str]]:
    """Names of the ``large`` weights of each shard, in the order in which nodes read them."""
    share: list[str] = []
    size = 0
    for name in dict.fromkeys(name for node in graph.nodes for name in node.input):
        if name not in large:
            continue
        needed = graph.weights[name].nbytes + PAGE
        if share and size + needed > shard_bytes:
            yield share
            share, size = [], 0
        share.append(name)
        size += needed
    if share:
        yield share


def _reference(name: str, data: np.ndarray, shard: str, file: IO[bytes]) -> TensorProto:
    tensor = TensorProto(name=name, dims=data.shape)
    tensor.data_type = helper.np_dtype_to_tensor_dtype(data.dtype)
    tensor.raw_data = b""
    external_data_helper.set_external_data(tensor, shard, file.tell(), data.nbytes)
    tensor.ClearField("raw_data")
    return tensor
