"""Check that a LoRA of sd-scripts fits a base, and read its clip skip.

Names and sizes are compared before weights are loaded, because diffusers loads the layers that fit
and silently drops the others.
"""

from pathlib import Path

from ..errors import ModelError
from .architecture import Shapes, read_architecture
from .header import Header, read_header, read_metadata
from .sd15_shapes import Sd15Shapes

LATENTS = "dmm_latents"
"""Metadata key of a base and its LoRAs: identity of the VAE's latents, if the base states one."""


def check_lora(lora: Path, base: Path) -> None:
    """Raise ModelError if the LoRA has layers that the base lacks or has in other sizes.

    Also if it was trained on latents of another VAE, such as those of an earlier nano.
    LoRAs with the names of other trainers are not checked; diffusers reads them.
    """
    from .lora_layers import lora_layers  # by PyTorch, which no bundle needs

    header = read_header(lora)
    if not any("lora" in name for name in header):
        raise ModelError(f"{lora}: not a LoRA (no tensor of it is named so); name another file")
    shapes = read_architecture(base)
    offered, reason = lora_layers(shapes), None
    for layer, wanted in _lora_layer_sizes(header).items():
        if layer not in offered:
            reason = f"which is {shapes.name} and has no {layer}"
        elif offered[layer].size != wanted:
            there, here = ("×".join(map(str, size)) for size in (offered[layer].size, wanted))
            reason = f"where {layer} is {there}, not {here}"
        if reason:
            trained_on = read_metadata(lora).get("ss_sd_model_name", "another model")
            raise ModelError(f"{lora}: was trained on {trained_on}, not on {base}, {reason}")
    theirs, ours = (read_metadata(path).get(LATENTS, "none stated") for path in (lora, base))
    if theirs != ours:
        raise ModelError(
            f"{lora}: was trained on other latents than those of {base} ({theirs}, not {ours}); "
            "use the base that it was trained on, or train it again on this one"
        )


def _lora_layer_sizes(header: Header) -> dict[str, tuple[int, ...]]:
    """Sizes of the layers that a LoRA changes, from its two matrices."""
    down, up = ".lora_down.weight", ".lora_up.weight"
    layers = [name.removesuffix(down) for name in header if name.endswith(down)]
    return {
        layer: (*header[layer + up][:1], *header[layer + down][1:])
        for layer in layers
        if layer + up in header
    }


def clip_skip(metadata: dict[str, str], shapes: Shapes) -> int | None:
    """Clip skip of a LoRA's training, counted from the last layer (1); None for the last layer.

    Only for SD 1.5: sd-scripts ignores the setting for SDXL.
    """
    found = metadata.get("dmm_clip_skip") or metadata.get("ss_clip_skip") or ""
    if not isinstance(shapes, Sd15Shapes) or not found.isdecimal() or int(found) < 2:
        return None
    return int(found)
