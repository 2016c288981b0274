"""Load SDXL checkpoints of any width into sd-scripts, whose loader has full size written into it.

The sizes come from the checkpoint's header. The constants and the two constructors that contain
literals are replaced only while a model is built, because the engine compares classes by identity
and by name.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from library import model_util, sdxl_model_util, sdxl_original_unet

from dmm.checkpoints.sdxl_shapes import SdxlShapes

from .patches import replaced


@contextmanager
def use_checkpoint_sizes(shapes: SdxlShapes) -> Iterator[None]:
    """Within the block sd-scripts builds its four SDXL networks with these sizes."""
    unet: dict[str, Any] = {
        "IN_CHANNELS": shapes.latent_channels,
        "OUT_CHANNELS": shapes.latent_channels,
        "ADM_IN_CHANNELS": shapes.adm_channels,
        "CONTEXT_DIM": shapes.context_dim,
        "MODEL_CHANNELS": shapes.model_channels,
        "TIME_EMBED_DIM": shapes.time_embed_dim,
        "Transformer2DModel": partial(
            _transformer_of_depth, sdxl_original_unet.Transformer2DModel, shapes
        ),
    }
    first = shapes.vae_channels[0]
    vae: dict[str, Any] = {
        "VAE_PARAMS_CH": first,
        "VAE_PARAMS_CH_MULT": [width // first for width in shapes.vae_channels],
        "VAE_PARAMS_NUM_RES_BLOCKS": shapes.vae_layers,
        "VAE_PARAMS_Z_CHANNELS": shapes.latent_channels,
    }
    clip: dict[str, Any] = {
        "CLIPTextConfig": partial(_text_config_of_size, sdxl_model_util.CLIPTextConfig, shapes)
    }
    with (
        replaced(sdxl_original_unet, **unet),
        replaced(model_util, **vae),
        replaced(sdxl_model_util, **clip),
    ):
        yield


def _transformer_of_depth(original: Any, shapes: SdxlShapes, **settings: Any) -> Any:
    """Build a transformer of the checkpoint's depth; the engine's are 2 (second level) and 10."""
    depth = shapes.depths[0] if settings["num_transformer_layers"] == 2 else shapes.depths[1]
    return original(
        **settings | {"num_transformer_layers": depth, "cross_attention_dim": shapes.context_dim}
    )


def _text_config_of_size(original: Any, shapes: SdxlShapes, **settings: Any) -> Any:
    """Text encoder's configuration with the checkpoint's sizes; the engine's width 768 is TE1."""
    encoder = shapes.te1 if settings["hidden_size"] == 768 else shapes.te2
    return original(**settings | encoder.clip_text_config(hidden_act=settings["hidden_act"]))
