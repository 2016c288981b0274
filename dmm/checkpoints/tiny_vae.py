"""A tiny VAE: a few ConvNeXt blocks at every resolution, and no normalisation.

Most weights work on the smallest resolution, where they cost least. Without norms every latent is
decoded by its surroundings alone, and no activation comes near the limit of half precision.
"""

from collections.abc import Sequence
from typing import Any

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from jaxtyping import Float
from torch import Tensor, nn

KERNEL = 7
"""Rows and frames that a block's depthwise convolution sees."""
EXPANSION = 2


class Block(nn.Module):
    """A residual block of ConvNeXt (https://arxiv.org/abs/2201.03545) without its norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, KERNEL, padding=KERNEL // 2, groups=width, bias=False)
        self.wider = nn.Conv2d(width, EXPANSION * width, 1)
        self.narrower = nn.Conv2d(EXPANSION * width, width, 1)
        nn.init.normal_(self.narrower.weight, std=0.02)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same shape."""
        return features + self.narrower(nn.functional.gelu(self.wider(self.around(features))))


class TinyVae(ModelMixin, ConfigMixin):
    """A VAE for another VAE's latents at the UNet's scale, in place of diffusers' AutoencoderKL.

    ``block_out_channels`` and ``blocks`` are in order from the image to the latents, each half the
    size of the one before.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int,
        colours: int,
        block_out_channels: Sequence[int],
        blocks: Sequence[int],
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = _encoder(latent_channels, block_out_channels, blocks)
        self.decoder = _decoder(latent_channels, colours, block_out_channels, blocks)

    def encode(self, pixels: Float[Tensor, "n 3 rows frames"]) -> AutoencoderTinyOutput:
        """Latents of pixels in -1..1."""
        return AutoencoderTinyOutput(latents=self.encoder(pixels))

    def decode(self, latents: Float[Tensor, "n channels rows frames"], return_dict: bool = True):
        """Pixels, in -1..1 but for overshoot: (n, ``colours``, rows, frames)."""
        pixels = self.decoder(latents)
        return DecoderOutput(sample=pixels) if return_dict else (pixels,)


def _encoder(latent_channels: int, widths: Sequence[int], blocks: Sequence[int]) -> nn.Sequential:
    layers: list[Any] = [nn.Conv2d(3, widths[0], 3, padding=1)]
    for level, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        if level:
            layers += [nn.PixelUnshuffle(2), nn.Conv2d(4 * widths[level - 1], width, 1)]
        layers += [Block(width) for _ in range(count)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], latent_channels, 3, padding=1))


def _decoder(
    latent_channels: int, colours: int, widths: Sequence[int], blocks: Sequence[int]
) -> nn.Sequential:
    layers: list[Any] = [nn.Conv2d(latent_channels, widths[-1], 3, padding=1)]
    for level in reversed(range(len(widths))):
        layers += [Block(widths[level]) for _ in range(blocks[level])]
        if level:
            layers += [nn.Conv2d(widths[level], 4 * widths[level - 1], 1), nn.PixelShuffle(2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[0], colours, 3, padding=1))
