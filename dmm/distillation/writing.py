"""Write a student's checkpoint: the teacher's file with some networks replaced.

Other tensors are copied one by one, with LoRAs merged into them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checkpoints.architecture import Shapes
from ..checkpoints.custom_layout import CustomLayout
from ..checkpoints.custom_tensors import custom_tensors
from ..checkpoints.header import read_metadata
from ..checkpoints.network_shapes import UNET, VAE
from ..checkpoints.sd15_shapes import TE, Sd15Shapes
from ..checkpoints.sdxl_layout import clip_tensors, open_clip_tensors, unet_tensors, vae_tensors
from ..checkpoints.sdxl_shapes import TE1, TE2
from ..checkpoints.tensorfile import TensorSpec, open_tensors, sorted_for_alignment, write_tensors
from ..files import refuse_overwriting_input
from ..fusing.fuse import lora_changes
from ..fusing.provenance import file_identity
from ..generation.loading import Lora
from ..generation.sampling import Sampling
from ..generation.settings import GenerationSettings

Networks = Mapping[str, nn.Module]
"""Networks by their names in a pipeline: unet, text_encoder, text_encoder_2, vae."""


def write_student(
    out: Path,
    base: Path,
    loras: tuple[Lora, ...],
    networks: Networks,
    shapes: Shapes,
    metadata: Mapping[str, str],
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write ``base`` with ``networks`` in place of its own, in the layout of ``shapes``.

    ``metadata`` are added to the base's.
    """
    refuse_overwriting_input(out, base, *(lora.path for lora in loras))
    new: dict[str, Tensor] = {}
    for part, network in networks.items():
        new |= _single_file_tensors(part, network, shapes)
    gone = tuple(_tensor_name_prefix(part, shapes) for part in networks)
    changes = lora_changes(base, loras)
    with open_tensors(base) as source:
        old = {name: spec for name, spec in source.specs.items() if not name.startswith(gone)}
        specs = {name: TensorSpec(dtype, tuple(tensor.shape)) for name, tensor in new.items()}
        specs |= {
            name: replace(spec, dtype=_dtype_to_write(spec.dtype, dtype))
            for name, spec in old.items()
        }
        specs = sorted_for_alignment(specs)

        def tensors() -> Iterator[tuple[str, Tensor]]:
            for name, spec in specs.items():
                if name in new:
                    yield name, new[name].detach().to("cpu", spec.dtype).contiguous()
                    continue
                tensor = source.read(name)
                for change in changes.get(name, []):
                    tensor = tensor.float()
                    change.location.weight_view(tensor).add_(change.factors.delta(change.ratio))
                yield name, tensor.to(spec.dtype)

        write_tensors(
            out, specs, tensors(), _merged_metadata(base, shapes.custom, networks, metadata)
        )


def generation_metadata(
    settings: GenerationSettings, sampling: Sampling | None = None
) -> dict[str, str]:
    """Metadata for ``dmm generate``: the teacher's format and anchor, the student's sampling.

    Without ``sampling`` the student's is the teacher's.
    """
    sampling = sampling or settings.sampling
    found = {
        "dmm_format": settings.fmt.name,
        "dmm_format_parameters": settings.fmt.model_dump_json(),
        "dmm_sampler": sampling.sampler,
        "dmm_steps": str(sampling.steps),
        "dmm_guidance": f"{sampling.guidance:g}",
        "dmm_stereo": "true" if settings.stereo else "false",
    }
    if settings.anchor:
        found["dmm_anchor"] = settings.anchor
    if settings.clip_skip:
        found["dmm_clip_skip"] = str(settings.clip_skip)
    return found


def distillation_metadata(base: Path, loras: tuple[Lora, ...], **facts: Any) -> dict[str, str]:
    """Metadata about a student's origin, as JSON under ``dmm_distilled``."""
    teachers = [file_identity(lora.path) | {"weight": lora.weight} for lora in loras]
    origin = {"teacher": file_identity(base), "loras": teachers, **facts}
    return {"dmm_distilled": json.dumps(origin, sort_keys=True)}


def _merged_metadata(
    base: Path, own: CustomLayout, networks: Networks, metadata: Mapping[str, str]
) -> dict[str, str]:
    stale = {"modelspec.hash_sha256", "modelspec.date", "dmm_unet_config", "dmm_vae_config"}
    kept = {key: value for key, value in read_metadata(base).items() if key not in stale}
    return {"format": "pt", **kept, **own.metadata, **metadata}


def _tensor_name_prefix(part: str, shapes: Shapes) -> str:
    first = TE if isinstance(shapes, Sd15Shapes) else TE1
    return {"unet": UNET, "vae": VAE, "text_encoder": first, "text_encoder_2": TE2}[part]


def _single_file_tensors(part: str, network: nn.Module, shapes: Shapes) -> dict[str, Tensor]:
    """A network's tensors under their names in the checkpoint."""
    if part == "unet":
        if shapes.custom.unet:
            return custom_tensors(part, network)
        return unet_tensors(network, (0,) if isinstance(shapes, Sd15Shapes) else ())
    if part == "vae":
        return custom_tensors(part, network) if shapes.custom.vae else vae_tensors(network)
    if part == "text_encoder_2":
        return open_clip_tensors(network)
    return clip_tensors(network, _tensor_name_prefix(part, shapes))


def _dtype_to_write(now: torch.dtype, wanted: torch.dtype) -> torch.dtype:
    return wanted if now.is_floating_point else now
