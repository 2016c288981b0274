"""Run a graph in ONNX Runtime from a temporary file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..bundles.sessions import open_session, run_session
from .graph import Graph
from .writing import write_graph

RunGraph = Callable[[dict[str, np.ndarray]], list[np.ndarray]]
"""Inputs by name to outputs in order."""
ONE_SHARD = 2**40


@contextmanager
def running(graph: Graph, near: Path, **settings: Any) -> Iterator[RunGraph]:
    """Open a graph on the CPU; its file is temporary, in the folder ``near``.

    ``settings`` are set on ONNX Runtime's SessionOptions. A graph for one row runs row by row.
    """
    with TemporaryDirectory(dir=near, prefix=".onnx-") as folder:
        path = Path(folder) / "graph.onnx"
        write_graph(graph, path, ONE_SHARD)
        sessions = [open_session(path, lean=True, **settings)]
        try:
            yield lambda inputs: run_session(sessions[0], inputs)
        finally:
            sessions.clear()  # Windows cannot delete a file that a session has mapped
