"""Run a graph in ONNX Runtime from a temporary file.

Weights are mapped from the file. Those of a large network that are half-precision numbers, as most
checkpoints' are, take half the bytes there: each is widened just before the first node that reads
it, and freed after the last.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from ..bundles.sessions import in_listed_order, open_session, run_session
from ..files import scratch_folder
from .graph import Graph
from .half import FLOAT
from .writing import write_graph

RunGraph = Callable[[dict[str, np.ndarray]], list[np.ndarray]]
"""Inputs by name to outputs in order."""
ONE_SHARD = 2**40
LARGE_BYTES = 2**30
"""Half-precision numbers of a smaller graph are not worth the time that widening takes."""


@contextmanager
def open_graph(graph: Graph, near: Path, **settings: Any) -> Iterator[RunGraph]:
    """Open a graph on the CPU; its file is temporary, in the folder ``near``.

    ``settings`` are set on ONNX Runtime's SessionOptions. A graph for one row runs row by row.
    """
    with scratch_folder(near) as folder:
        path = folder / "graph.onnx"
        if wide := _weights_to_store_in_half(graph):
            graph, settings = _stored_in_half(graph, wide), settings | in_listed_order()
        write_graph(graph, path, ONE_SHARD)
        sessions = [open_session(path, lean=True, **settings)]
        try:
            yield lambda inputs: run_session(sessions[0], inputs)
        finally:
            sessions.clear()  # Windows cannot delete a file that a session has mapped


def _weights_to_store_in_half(graph: Graph) -> set[str]:
    """Weights to store in half the bytes: all that can be, of a large graph."""
    halves = {name: array for name, array in graph.weights.items() if array.is_half}
    return set(halves) if sum(a.nbytes for a in halves.values()) >= LARGE_BYTES else set()


def _stored_in_half(graph: Graph, names: set[str]) -> Graph:
    """The graph with these weights in half precision, and a cast before their first reader."""
    found = Graph(type(graph.model)(), dict(graph.weights))
    found.model.CopyFrom(graph.model)
    for name in names:
        array = found.weights.pop(name)
        found.weights[f"{name}_half"] = array.map(_to_float16, dtype=np.float16)
    del found.model.graph.node[:]
    waiting = set(names)
    for node in graph.nodes:
        for name in dict.fromkeys(node.input):
            if name in waiting:
                waiting.remove(name)
                cast = helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_wide", to=FLOAT)
                found.nodes.append(cast)
        found.nodes.append(node)
    return found


def _to_float16(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16)
