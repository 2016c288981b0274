"""Build UNet, text encoders and VAE of given sizes with random weights."""

from typing import Any

from torch import Tensor

from .architecture import Shapes


def build_networks(shapes: Shapes) -> dict[str, Any]:
    """UNet, text encoders and VAE, in this order, by a pipeline's names.

    Within ``torch.device("meta")`` they take no memory and have all names and sizes.
    """
    import transformers

    networks: dict[str, Any] = {"unet": build_unet(shapes)}
    for part, config in shapes.text_configs().items():
        encoder = getattr(transformers, config["architectures"][0])
        networks[part] = encoder(transformers.CLIPTextConfig(**config))
    return networks | {"vae": build_vae(shapes)}


def build_unet(shapes: Shapes) -> Any:
    """A UNet of these sizes with fresh weights."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(**shapes.unet_config())


def build_vae(shapes: Shapes) -> Any:
    """A VAE of these sizes with fresh weights: diffusers' own, or a student's tiny one."""
    if shapes.custom.vae:
        from .tiny_vae import TinyVae

        return TinyVae(**shapes.vae_config())
    from diffusers import AutoencoderKL

    return AutoencoderKL(**shapes.vae_config())


def mean_latents(vae: Any, pixels: Tensor) -> Tensor:
    """Latents of pixels in -1..1 by a VAE of either class, at the UNet's scale, without noise."""
    found = vae.encode(pixels)
    latents = found.latents if hasattr(found, "latents") else found.latent_dist.mean
    return latents * vae.config.scaling_factor
