"""Statistics file of real clips (``dmm eval stats``), to score clips without the real ones at hand.

A safetensors file, which holds no code. 1000 clips of CLAP's 512 numbers take 2 MB, their Gaussian
as much. At most 5000 evenly spaced rows are kept; the Gaussian is that of all clips.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from dmm.embedders import Embedder, Identity
from dmm.errors import InputError
from dmm.files import parse_json, validated, whole_file

from .metrics.fad import Gaussian, fit_gaussian
from .sample import Reference
from .sets import ClipSet, short_names

KIND = "dmm reference statistics 1"
MAX_ROWS = 5000


def write_statistics(path: Path, real: ClipSet, embedder: Embedder) -> Reference:
    """Write rows (at most 5000), Gaussian and captions of real clips; returns what was written."""
    gaussian, step = fit_gaussian(real.rows), -(-len(real) // MAX_ROWS)
    reference = Reference(real.rows[::step], gaussian, real.prompts[::step])
    metadata = {
        "kind": KIND,
        "embedder": json.dumps(asdict(embedder.identity)),
        "folder": short_names([real.folder])[0],
        "n": str(gaussian.n),
        "prompts": json.dumps(reference.prompts),
        "tracks": str(real.track_count),
        "sha256": json.dumps(real.clips.sha256),
    }
    tensors = {"rows": reference.rows, "mean": gaussian.mean, "factor": gaussian.factor}
    from safetensors.numpy import save_file

    with whole_file(path) as partial:
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, partial, metadata)
    return reference


def statistics_embedder_name(path: Path) -> str | None:
    """Name of the embedder of a statistics file; None if the file is another one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get("embedder", "{}")
            return parse_json(text, path).get("name")
    except (SafetensorError, OSError, InputError):
        return None


def read_statistics(path: Path, embedder: Embedder) -> tuple[Reference, dict[str, str]]:
    """Read a statistics file; returns the reference and the file's metadata.

    InputError for another kind of file, and for one by another embedder or protocol.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("kind") != KIND:
                raise InputError(
                    f"{path}: holds no reference statistics; make them: dmm eval stats"
                )
            tensors = {name: file.get_tensor(name) for name in ("rows", "mean", "factor")}
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: holds no reference statistics ({error}); make them: dmm eval stats"
        ) from error
    stated = validated(metadata, path, _StatedMetadata)
    _refuse_other_embedder(path, parse_json(stated.embedder, path), embedder)
    gaussian = Gaussian(tensors["mean"], tensors["factor"], stated.n)
    prompts = parse_json(stated.prompts, path, list[str | None])
    return Reference(tensors["rows"], gaussian, prompts, stated.tracks), metadata


class _StatedMetadata(BaseModel):
    """Fields of the file's metadata that are used."""

    embedder: str
    prompts: str
    n: int = Field(ge=1)
    tracks: int | None = None
    """Files before 2026-11-29 have none."""


def _refuse_other_embedder(path: Path, identity: dict[str, Any], embedder: Embedder) -> None:
    """Raise InputError unless both embedders give equal vectors; package versions may differ."""
    theirs, ours = Identity(**identity), embedder.identity
    if (theirs.name, theirs.version) != (ours.name, ours.version):
        raise InputError(
            f"{path}: made by {theirs.name} {theirs.version}, and the clips are embedded by "
            f"{ours.name} {ours.version}; use the same embedder and protocol, or make it again: "
            "dmm eval stats"
        )
