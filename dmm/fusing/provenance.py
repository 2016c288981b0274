"""What a fused checkpoint tells of itself: where it comes from, and how to draw with it.

The base's own metadata stay. ``dmm_format``, ``dmm_anchor`` and ``dmm_clip_skip`` are the LoRAs',
so that the fused file is drawn with as the LoRAs were. ``dmm_fused`` is JSON: the base and every
LoRA with name, SHA-256 and, for a LoRA, its ratio and all its own metadata.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..cards import sha256_of
from ..checkpoints.architecture import Shapes, read_architecture
from ..checkpoints.header import read_metadata
from ..checkpoints.lora import clip_skip
from ..errors import ModelError
from ..generation.loading import Lora

_ALIKE = ("dmm_format", "dmm_format_parameters", "dmm_stereo")
ARCHITECTURES = {"sdxl": "stable-diffusion-xl-v1-base", "sd15": "stable-diffusion-v1"}
"""ModelSpec's names of them."""


def fused_metadata(base: Path, loras: Sequence[Lora], title: str) -> dict[str, str]:
    """A fused checkpoint's metadata; ModelError if two LoRAs are not to be drawn with alike."""
    shapes, own = read_architecture(base), read_metadata(base)
    learnt = {lora.path: read_metadata(lora.path) for lora in loras}
    to_draw = _to_draw(learnt, shapes)
    stale = {"modelspec.date"}  # and one of our own would change the file's hash
    if "dmm_format" in to_draw:
        stale.add("dmm_format_parameters")  # of the base's format
    kept = {key: value for key, value in own.items() if key not in stale}
    metadata = {"format": "pt", **kept, **to_draw}
    metadata |= {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": own.get("modelspec.architecture", ARCHITECTURES[shapes.kind]),
        "modelspec.title": title,
        "modelspec.merged_from": ", ".join(path.stem for path in (base, *learnt)),
    }
    sources = [own, *learnt.values()]
    if licences := _distinct(source.get("modelspec.license") for source in sources):
        metadata["modelspec.license"] = "; ".join(licences)
    if types := _distinct(source.get("modelspec.prediction_type") for source in sources):
        metadata["modelspec.prediction_type"] = types[0]  # the base's, where it tells
    parts = [
        {**origin(lora.path), "ratio": lora.weight, "metadata": learnt[lora.path]} for lora in loras
    ]
    metadata["dmm_fused"] = json.dumps({"base": _base(base, own), "loras": parts}, sort_keys=True)
    return metadata


def extracted_metadata(
    base: Path, fused: Path, title: str, rank: int, kernel_rank: int
) -> dict[str, str]:
    """An extracted LoRA's metadata: sd-scripts' own fields, ``dmm_*`` of the fused file, origins.

    ``dmm_unfused`` is JSON: base, fused file and ranks.
    """
    shapes, told = read_architecture(base), read_metadata(fused)
    kept = (*_ALIKE, "dmm_anchor", "dmm_clip_skip", "modelspec.license",
            "modelspec.prediction_type")  # fmt: skip
    ranks = {"rank": rank, "kernel_rank": kernel_rank}
    metadata = {key: told[key] for key in kept if key in told} | {
        "format": "pt",
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": ARCHITECTURES[shapes.kind] + "/lora",
        "modelspec.title": title,
        "ss_base_model_version": {"sdxl": "sdxl_base_v1-0", "sd15": "sd_v1"}[shapes.kind],
        "ss_sd_model_name": base.name,
        "ss_new_sd_model_hash": sha256_of(base),
        "ss_v2": "False",
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(float(rank)),
        "dmm_unfused": json.dumps({"base": origin(base), "fused": origin(fused), **ranks}),
    }
    if kernel_rank:
        conv = {"conv_dim": str(kernel_rank), "conv_alpha": str(float(kernel_rank))}
        metadata["ss_network_args"] = json.dumps(conv)
    return metadata


def origin(path: Path) -> dict[str, str]:
    """A file's name and SHA-256."""
    return {"file": path.name, "sha256": sha256_of(path)}


def _base(base: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """A base that was fused itself tells of its own base, too."""
    earlier = metadata.get("dmm_fused")
    return origin(base) | ({"fused": json.loads(earlier)} if earlier else {})


def _to_draw(learnt: dict[Path, dict[str, str]], shapes: Shapes) -> dict[str, str]:
    told = {name: [(path, of.get(name)) for path, of in learnt.items()] for name in _ALIKE}
    told["dmm_clip_skip"] = [
        (path, str(clip_skip(of, shapes) or "")) for path, of in learnt.items()
    ]
    found: dict[str, str] = {}
    for field, values in told.items():
        for path, value in values:
            if value and found.setdefault(field, value) != value:
                raise ModelError(
                    f"{path}: its {field} is {value}, another LoRA's {found[field]}; "
                    "fuse only LoRAs that are drawn with alike"
                )
    if anchors := _distinct(of.get("dmm_anchor") for of in learnt.values()):
        found["dmm_anchor"] = ", ".join(anchors)
    return found


def _distinct(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(filter(None, values)))
