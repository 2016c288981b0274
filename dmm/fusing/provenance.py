"""Metadata of a fused checkpoint and of an extracted LoRA: origins and generation settings.

The base's other metadata are kept, except its date. Format, stereo, anchor and clip skip are the
LoRAs' where they state them, so that the fused file generates as the LoRAs do.
``dmm_fused`` is JSON: name and SHA-256 of the base and of every LoRA, and a LoRA's ratio and
metadata.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..checkpoints.architecture import Shapes, read_architecture
from ..checkpoints.header import read_metadata
from ..checkpoints.lora import LATENTS, clip_skip
from ..errors import ModelError
from ..files import parse_json
from ..generation.loading import Lora
from ..model_cards import sha256_of

_MUST_AGREE = ("dmm_format", "dmm_format_parameters", "dmm_stereo")
ARCHITECTURES = {"sdxl": "stable-diffusion-xl-v1-base", "sd15": "stable-diffusion-v1"}
"""ModelSpec's names of the architectures."""


def fused_metadata(base: Path, loras: Sequence[Lora], title: str) -> dict[str, str]:
    """A fused checkpoint's metadata; ModelError if LoRAs need different generation settings."""
    shapes, base_metadata = read_architecture(base), read_metadata(base)
    metadata_of_loras = {lora.path: read_metadata(lora.path) for lora in loras}
    generation = _generation_metadata(metadata_of_loras, shapes)
    stale = {"modelspec.date"}  # a new date would change the file's hash
    if "dmm_format" in generation:
        stale.add("dmm_format_parameters")  # those of the base's format
    kept = {key: value for key, value in base_metadata.items() if key not in stale}
    metadata = {"format": "pt", **kept, **generation}
    metadata |= {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": base_metadata.get(
            "modelspec.architecture", ARCHITECTURES[shapes.kind]
        ),
        "modelspec.title": title,
        "modelspec.merged_from": ", ".join(path.stem for path in (base, *metadata_of_loras)),
    }
    sources = [base_metadata, *metadata_of_loras.values()]
    if licences := _distinct_nonempty(source.get("modelspec.license") for source in sources):
        metadata["modelspec.license"] = "; ".join(licences)
    if types := _distinct_nonempty(source.get("modelspec.prediction_type") for source in sources):
        metadata["modelspec.prediction_type"] = types[0]  # the base's, if it states one
    parts = [
        {**file_identity(lora.path), "ratio": lora.weight, "metadata": metadata_of_loras[lora.path]}
        for lora in loras
    ]
    metadata["dmm_fused"] = json.dumps(
        {"base": _base_identity(base, base_metadata), "loras": parts}, sort_keys=True
    )
    return metadata


def extracted_metadata(
    base: Path, fused: Path, title: str, rank: int, kernel_rank: int
) -> dict[str, str]:
    """An extracted LoRA's metadata: sd-scripts' fields, and ``dmm_*`` of the fused file.

    ``dmm_unfused`` is JSON: name and SHA-256 of base and fused file, and the ranks.
    """
    shapes, metadata_of_fused = read_architecture(base), read_metadata(fused)
    kept = (*_MUST_AGREE, "dmm_anchor", "dmm_clip_skip", "modelspec.license",
            "modelspec.prediction_type")  # fmt: skip
    ranks = {"rank": rank, "kernel_rank": kernel_rank}
    unfused = {"base": file_identity(base), "fused": file_identity(fused), **ranks}
    metadata = {key: metadata_of_fused[key] for key in kept if key in metadata_of_fused} | {
        **lora_metadata(base, shapes, title, rank),
        "dmm_unfused": json.dumps(unfused),
    }
    if kernel_rank:
        conv = {"conv_dim": str(kernel_rank), "conv_alpha": str(float(kernel_rank))}
        metadata["ss_network_args"] = json.dumps(conv)
    return metadata


def lora_metadata(base: Path, shapes: Shapes, title: str, rank: int) -> dict[str, str]:
    """Metadata by which sd-scripts and other programs recognise a LoRA."""
    latents = read_metadata(base).get(LATENTS)
    return {
        **({LATENTS: latents} if latents else {}),
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
    }


def file_identity(path: Path) -> dict[str, str]:
    """Name and SHA-256 of a file."""
    return {"file": path.name, "sha256": sha256_of(path)}


def _base_identity(base: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """Name and SHA-256 of the base, and the origins of a base that is itself a fused file."""
    earlier = metadata.get("dmm_fused")
    origins = {"fused": parse_json(earlier, base, Any)} if earlier else {}
    return file_identity(base) | origins


def _generation_metadata(
    metadata_of_loras: dict[Path, dict[str, str]], shapes: Shapes
) -> dict[str, str]:
    """Format, stereo and clip skip, on which LoRAs that state them must agree; joined anchors."""
    stated = {
        name: [(path, of.get(name)) for path, of in metadata_of_loras.items()]
        for name in _MUST_AGREE
    }
    stated["dmm_clip_skip"] = [
        (path, str(clip_skip(of, shapes) or "")) for path, of in metadata_of_loras.items()
    ]
    found: dict[str, str] = {}
    for field, values in stated.items():
        for path, value in values:
            if value and found.setdefault(field, value) != value:
                raise ModelError(
                    f"{path}: its {field} is {value}, another LoRA's {found[field]}; "
                    "fuse only LoRAs with the same generation settings"
                )
    if anchors := _distinct_nonempty(of.get("dmm_anchor") for of in metadata_of_loras.values()):
        found["dmm_anchor"] = ", ".join(anchors)
    return found


def _distinct_nonempty(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(filter(None, values)))
