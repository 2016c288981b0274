"""Load SD 1.5 checkpoints of any width into sd-scripts; ``any_width`` does the same for SDXL.

The UNet's widths are module constants here; its heads (8 at every level) and depth (1) stay as in
the engine. Only the text encoder's sizes are literals of a call, so that call is replaced. All is
restored after a model was built.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from library import model_util, original_unet

from dmm.checkpoints.sd15_shapes import Sd15Shapes

from .patches import replaced


@contextmanager
def use_checkpoint_sizes(shapes: Sd15Shapes) -> Iterator[None]:
    """Within the block sd-scripts builds its three SD 1.5 networks with these sizes."""
    unet: dict[str, Any] = {
        "IN_CHANNELS": shapes.latent_channels,
        "OUT_CHANNELS": shapes.latent_channels,
        "BLOCK_OUT_CHANNELS": shapes.channels,
        "TIMESTEP_INPUT_DIM": shapes.channels[0],
        "TIME_EMBED_DIM": shapes.time_embed_dim,
    }
    first = shapes.vae_channels[0]
    loader: dict[str, Any] = {
        "UNET_PARAMS_CONTEXT_DIM": shapes.context_dim,
        "VAE_PARAMS_CH": first,
        "VAE_PARAMS_CH_MULT": [width // first for width in shapes.vae_channels],
        "VAE_PARAMS_NUM_RES_BLOCKS": shapes.vae_layers,
        "VAE_PARAMS_Z_CHANNELS": shapes.latent_channels,
        "CLIPTextConfig": partial(_text_config_of_size, model_util.CLIPTextConfig, shapes),
    }
    with replaced(original_unet, **unet), replaced(model_util, **loader):
        yield


def _text_config_of_size(original: Any, shapes: Sd15Shapes, **settings: Any) -> Any:
    """Text encoder's configuration with the checkpoint's sizes."""
    return original(**settings | shapes.te.clip_text_config(hidden_act=settings["hidden_act"]))
