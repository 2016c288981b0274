"""Worker of ``benchmarks/scores.py``, run by an interpreter that has the peers installed.

For each line ``NAME WHAT FILE.npz`` it prints a line of JSON, ``[value, CPU seconds]``; its first
line states the versions. Functions are compiled from the installed source files without importing
their modules, which would load networks and audio libraries.
"""

import ast
import json
import logging
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.scimath import sqrt as scisqrt
from scipy import linalg

PEERS = {"fadtk": "fadtk", "frechet-audio-distance": "frechet_audio_distance", "kadtk": "kadtk"}
NAMES: dict[str, Any] = {
    "np": np,
    "torch": torch,
    "linalg": linalg,
    "scisqrt": scisqrt,
    "log": logging.getLogger("peer"),
    "Path": Path,
    "SCALE_FACTOR": 100,  # kadtk's constant
}


def function(module: str, file: str, name: str) -> Callable[..., Any]:
    """Compile a function or method from the source file of an installed module."""
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    path = Path(spec.origin).with_name(file)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name)
    names = dict(NAMES)
    if module == "kadtk" and name != "median_pairwise_distance":
        names["median_pairwise_distance"] = function(module, file, "median_pairwise_distance")
    exec(compile(ast.Module([found], []), str(path), "exec"), names)
    return names[name]


def fadtk(x: np.ndarray, y: np.ndarray, what: str) -> tuple[float, float]:
    """Value and CPU seconds."""
    moments = function("fadtk", "fad.py", "calc_embd_statistics")
    distance = function("fadtk", "fad.py", "calc_frechet_distance")
    return _timed(moments, distance, x, y, what)


def frechet_audio_distance(x: np.ndarray, y: np.ndarray, what: str) -> tuple[float, float]:
    """Value and CPU seconds; the two methods do not use ``self``."""
    module = "frechet_audio_distance"
    moments = function(module, "fad.py", "calculate_embd_statistics")
    distance = function(module, "fad.py", "calculate_frechet_distance")
    return _timed(lambda z: moments(None, z), lambda *s: distance(None, *s), x, y, what)


def kadtk(x: np.ndarray, y: np.ndarray, _: str) -> tuple[float, float]:
    """Value and CPU seconds, without kadtk's cache of kernels."""
    distance = function("kadtk", "kad.py", "calc_kernel_audio_distance")
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    start = time.process_time()
    value = float(distance(a, b, (None, None), "cpu"))
    return value, time.process_time() - start


def _timed(
    moments: Callable[..., Any],
    distance: Callable[..., Any],
    x: np.ndarray,
    y: np.ndarray,
    what: str,
) -> tuple[float, float]:
    start = time.process_time()
    known = (*moments(x), *moments(y))
    if what == "statistics":
        start = time.process_time()
    value = distance(*known)
    return float(value), time.process_time() - start


def main() -> None:
    """Answer requests until standard input ends."""
    torch.set_num_threads(1)
    print(
        json.dumps({name: version(name) for name in (*PEERS, "numpy", "scipy", "torch")}),
        flush=True,
    )
    for line in sys.stdin:
        name, what, file = line.split()
        with np.load(file) as sets:
            x, y = sets["x"], sets["y"]
        print(json.dumps(globals()[PEERS[name]](x, y, what)), flush=True)


if __name__ == "__main__":
    main()
