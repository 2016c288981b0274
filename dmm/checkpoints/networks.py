"""Networks of any sizes with fresh weights, as a pipeline names them."""

from typing import Any

from .architecture import Shapes


def build(shapes: Shapes) -> dict[str, Any]:
    """UNet, text encoders and VAE, in this order, of SD 1.5 or SDXL in these sizes.

    Within ``torch.device("meta")`` they take neither memory nor time, and tell all names and sizes.
    """
    import transformers
    from diffusers import AutoencoderKL, UNet2DConditionModel

    networks: dict[str, Any] = {"unet": UNet2DConditionModel(**shapes.unet_config())}
    for part, config in shapes.text_configs().items():
        encoder = getattr(transformers, config["architectures"][0])
        networks[part] = encoder(transformers.CLIPTextConfig(**config))
    return networks | {"vae": AutoencoderKL(**shapes.vae_config())}
