"""Detect a checkpoint's architecture (SD 1.5 or SDXL) and sizes from its header."""

from pathlib import Path

from ..errors import ModelError
from .custom_layout import read_custom_layout
from .header import Header, read_header, read_metadata
from .network_shapes import UNET
from .sd15_shapes import TE as SD15_TEXT
from .sd15_shapes import Sd15Shapes, sd15_shapes
from .sdxl_shapes import TE2 as SDXL_TEXT
from .sdxl_shapes import SdxlShapes, sdxl_shapes

Shapes = SdxlShapes | Sd15Shapes

_OTHERS = {
    "lora_": "a LoRA, not a checkpoint; name the base that it was trained on",
    "conditioner.embedders.0.model.": "SDXL's refiner, which cannot generate alone; name its base",
    "cond_stage_model.model.": "SD 2; name an SD 1.5 or SDXL checkpoint",
    "cond_stage_model.transformer.": (
        "SD 1 with text encoder names of before 2023 (no text_model); "
        "save it once with sd-scripts' tools/convert_diffusers20_original_sd.py"
    ),
    "double_blocks.": "Flux; name an SD 1.5 or SDXL checkpoint",
    "joint_blocks.": "SD 3; name an SD 1.5 or SDXL checkpoint",
    "down_blocks.": "one network in the diffusers layout; name a single file that holds all",
    "text_model.": "one network in the diffusers layout; name a single file that holds all",
}
"""Part of a tensor's name, and the kind of file that has it; the first match counts."""


def read_architecture(checkpoint: Path) -> Shapes:
    """Read the sizes of a single-file checkpoint; ``kind`` of the result is its architecture.

    ModelError, in one line, for a missing or damaged file and for any other kind of model.
    """
    header = read_header(checkpoint)
    if any(name.startswith(SDXL_TEXT) for name in header):
        read, kind = sdxl_shapes, SdxlShapes.name
    elif any(name.startswith(SD15_TEXT) for name in header):
        read, kind = sd15_shapes, Sd15Shapes.name
    else:
        raise ModelError(f"{checkpoint}: {_describe_other(header)}")
    try:
        custom = read_custom_layout(read_metadata(checkpoint))
        shapes = read(header, custom)
    except KeyError as error:
        raise ModelError(f"{checkpoint}: {kind}, but not all of it (no {error})") from error
    except (ValueError, IndexError) as error:
        raise ModelError(f"{checkpoint}: {kind} of other sizes than we know ({error})") from error
    first = "conv_in.weight" if custom.unet else "input_blocks.0.0.weight"
    if UNET + first not in header:
        raise ModelError(f"{checkpoint}: {kind}, but not all of it (no {UNET + first!r})")
    channels = header[UNET + first][1]
    if channels != shapes.latent_channels:
        raise ModelError(
            f"{checkpoint}: {kind} for inpainting or editing (its UNet takes {channels} channels, "
            f"not {shapes.latent_channels}); name a base for text to image"
        )
    return shapes


def refuse_custom_layout(checkpoint: Path) -> None:
    """ModelError for a student whose networks are in no layout that sd-scripts knows."""
    custom = read_architecture(checkpoint).custom
    if custom:
        names = " and ".join(
            n for n, found in (("UNet", custom.unet), ("VAE", custom.vae)) if found
        )
        raise ModelError(
            f"{checkpoint}: a student whose {names} is not in the layout that sd-scripts trains; "
            "train on its teacher and distil again, or distil with a preset such as unet-330m "
            "and without [decoder]"
        )


def prediction_type(checkpoint: Path) -> str:
    """``v_prediction`` if the ModelSpec metadata states it, else ``epsilon``."""
    is_v = read_metadata(checkpoint).get("modelspec.prediction_type") in ("v", "v_prediction")
    return "v_prediction" if is_v else "epsilon"


def _describe_other(header: Header) -> str:
    """A sentence on what a checkpoint of neither architecture is."""
    for part, sentence in _OTHERS.items():
        if any(part in name for name in header):
            return sentence
    return (
        "no SD 1.5 or SDXL checkpoint (no text encoder of theirs); "
        "name the .safetensors file that holds UNet, text encoders and VAE"
    )
