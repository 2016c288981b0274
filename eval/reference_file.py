"""Reference statistics in a file, so that clips can be scored where the real ones are not.

safetensors: nothing in it is run. 1000 clips of CLAP's 512 numbers take 2 MB and their Gaussian as
much; of more than 5000 clips evenly spaced ones are kept, beside the Gaussian of all.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from dmm.embedders import Embedder, Identity
from dmm.errors import InputError
from dmm.files import whole_file

from .metrics.fad import Gaussian, statistics
from .sample import Reference
from .sets import ClipSet, short_names

KIND = "dmm reference statistics 1"
MOST_ROWS = 5000


def write_statistics(path: Path, real: ClipSet, embedder: Embedder) -> Reference:
    """Write what any score needs of real clips, with the embedder's identity; returns it."""
    gaussian, step = statistics(real.rows), -(-len(real) // MOST_ROWS)
    reference = Reference(real.rows[::step], gaussian, real.prompts[::step])
    metadata = {
        "kind": KIND,
        "embedder": json.dumps(asdict(embedder.identity)),
        "folder": short_names([real.folder])[0],
        "n": str(gaussian.n),
        "prompts": json.dumps(reference.prompts),
        "sha256": json.dumps(real.clips.sha256),
    }
    tensors = {"rows": reference.rows, "mean": gaussian.mean, "factor": gaussian.factor}
    from safetensors.numpy import save_file

    with whole_file(path) as partial:
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, partial, metadata)
    return reference


def read_statistics(path: Path, embedder: Embedder) -> tuple[Reference, dict[str, str]]:
    """The reference and its file's metadata.

    InputError if it is no such file, or if another embedder or another protocol made it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("kind") != KIND:
                raise InputError(f"{path}: holds no reference statistics; make it: dmm eval stats")
            tensors = {name: file.get_tensor(name) for name in ("rows", "mean", "factor")}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: holds no reference statistics ({error}); make it: dmm eval stats"
        ) from error
    _refuse_others(path, json.loads(metadata["embedder"]), embedder)
    gaussian = Gaussian(tensors["mean"], tensors["factor"], int(metadata["n"]))
    return Reference(tensors["rows"], gaussian, json.loads(metadata["prompts"])), metadata


def _refuse_others(path: Path, made_by: dict[str, Any], embedder: Embedder) -> None:
    """InputError unless the embedder gives the same vectors; package versions may differ."""
    then, now = Identity(**made_by), embedder.identity
    if (then.name, then.version) != (now.name, now.version):
        raise InputError(
            f"{path}: made by {then.name} {then.version}, and the clips are heard by {now.name} "
            f"{now.version}; use the same embedder and protocol, or make it again: dmm eval stats"
        )
