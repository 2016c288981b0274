"""The sizes of a student's checkpoint, from a preset and its teacher's sizes."""

from dataclasses import replace
from typing import Any

from ..checkpoints.architecture import Shapes
from ..checkpoints.custom_layout import CustomLayout, canonical_json
from ..checkpoints.sd15_shapes import Sd15Shapes
from ..checkpoints.sdxl_shapes import SIZE_EMBEDDING, SdxlShapes
from ..errors import PresetError
from .presets import UnetPart, UnetSizes

GUIDANCE_WIDTH = 64
"""Width of the guidance scale's embedding, for students that read it."""
SIZES = 6
"""Numbers in SDXL's size and crop conditioning."""


def student_shapes(part: UnetPart, teacher: Shapes) -> Shapes:
    """Sizes of the teacher's checkpoint with the student's UNet in it.

    The UNet has SDXL's layout if its sizes allow it. PresetError for sizes that make no UNet.
    """
    _check_sizes(part.sizes)
    reads_guidance = not isinstance(part.guidance, float)
    if (
        isinstance(teacher, SdxlShapes)
        and _keeps_layout(part.sizes, teacher)
        and not reads_guidance
    ):
        sizes = part.sizes
        return replace(
            teacher,
            model_channels=sizes.channels[0],
            time_embed_dim=_time_width(sizes),
            depths=sizes.depths[1:],
            custom=CustomLayout(vae=teacher.custom.vae),
        )
    config = unet_config(part.sizes, teacher, reads_guidance)
    own = CustomLayout(canonical_json(config), teacher.custom.vae)
    if isinstance(teacher, Sd15Shapes):
        return replace(
            teacher,
            channels=part.sizes.channels,
            time_embed_dim=_time_width(part.sizes),
            custom=own,
        )
    return replace(
        teacher,
        model_channels=part.sizes.channels[0],
        time_embed_dim=_time_width(part.sizes),
        adm_channels=config["projection_class_embeddings_input_dim"],
        depths=(0, 0),
        custom=own,
    )


def unet_config(sizes: UnetSizes, teacher: Shapes, reads_guidance: bool) -> dict[str, Any]:
    """Arguments of diffusers' UNet2DConditionModel."""
    attends = [depth > 0 for depth in sizes.depths]
    middle = {
        "attention": "UNetMidBlock2DCrossAttn", "resnet": "UNetMidBlock2D", "none": None
    }[sizes.middle]  # fmt: skip
    context = sizes.context_width or teacher.context_dim
    config: dict[str, Any] = {
        "in_channels": teacher.latent_channels,
        "out_channels": teacher.latent_channels,
        "block_out_channels": list(sizes.channels),
        "down_block_types": ["CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attends],
        "mid_block_type": middle,
        "up_block_types": ["CrossAttnUpBlock2D" if a else "UpBlock2D" for a in attends[::-1]],
        "layers_per_block": sizes.layers,
        "transformer_layers_per_block": [max(1, depth) for depth in sizes.depths],
        "attention_head_dim": [max(1, width // sizes.head_width) for width in sizes.channels],
        "norm_num_groups": sizes.groups,
        "cross_attention_dim": context,
        "time_embedding_dim": _time_width(sizes),
        "use_linear_projection": isinstance(teacher, SdxlShapes),
    }
    if sizes.context_width:
        config |= {"encoder_hid_dim": teacher.context_dim, "encoder_hid_dim_type": "text_proj"}
    if reads_guidance:
        config["time_cond_proj_dim"] = GUIDANCE_WIDTH
    if isinstance(teacher, SdxlShapes):
        pooled = teacher.te2.hidden_size
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": sizes.size_width,
            "projection_class_embeddings_input_dim": pooled + SIZES * sizes.size_width,
        }
    return config


def _time_width(sizes: UnetSizes) -> int:
    return sizes.time_width or 4 * sizes.channels[0]


def _keeps_layout(sizes: UnetSizes, teacher: SdxlShapes) -> bool:
    """Whether sd-scripts can train it: three levels, each twice as wide as the one before."""
    first = sizes.channels[0]
    usual = UnetSizes(
        channels=(first, 2 * first, 4 * first),
        depths=(0, *sizes.depths[1:]),
        time_width=sizes.time_width,
    )
    has_sizes = teacher.adm_channels == teacher.te2.hidden_size + SIZE_EMBEDDING
    return sizes == usual and len(sizes.depths) == 3 and has_sizes


def _check_sizes(sizes: UnetSizes) -> None:
    if len(sizes.depths) != len(sizes.channels):
        raise PresetError(
            f"{len(sizes.channels)} channels and {len(sizes.depths)} depths; name one each a level"
        )
    if not any(sizes.depths):
        raise PresetError("depths are all 0: without attention a UNet reads no prompt")
    for width in sizes.channels:
        if width % sizes.groups:
            raise PresetError(f"channels {width} are no multiple of the {sizes.groups} groups")
        if width % max(1, width // sizes.head_width):
            raise PresetError(f"channels {width} do not divide into heads of {sizes.head_width}")
