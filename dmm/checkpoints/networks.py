"""Build UNet, text encoders and VAE of given sizes with random weights."""

from typing import Any

from .architecture import Shapes


def build(shapes: Shapes) -> dict[str, Any]:
    """UNet, text encoders and VAE, in this order, by a pipeline's names.

    Within ``torch.device("meta")`` they take no memory and have all names and sizes.
    """
    import transformers
    from diffusers import AutoencoderKL, UNet2DConditionModel

    networks: dict[str, Any] = {"unet": UNet2DConditionModel(**shapes.unet_config())}
    for part, config in shapes.text_configs().items():
        encoder = getattr(transformers, config["architectures"][0])
        networks[part] = encoder(transformers.CLIPTextConfig(**config))
    return networks | {"vae": AutoencoderKL(**shapes.vae_config())}
