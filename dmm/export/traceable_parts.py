"""A pipeline's networks with the inputs and outputs of a bundle's parts.

Inputs and outputs are float32, token ids int32. UNet, text encoders and VAE compute what diffusers'
pipelines compute for generation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..generation.denoising import takes_guidance_embedding
from .attention import TOKENS

MASKED_SCORE = -1e4
"""Added to the scores of later tokens: its exponential is 0 in half precision too."""


@dataclass(frozen=True)
class Part:
    """A network that can be traced as a part of a bundle."""

    name: str
    network: nn.Module
    """Its ``forward`` takes ``inputs`` in order."""
    inputs: dict[str, Tensor]
    outputs: dict[str, dict[int, str]]
    """Name to the names of its dynamic axes."""
    axes: dict[str, dict[int, str]]
    """The same for the inputs."""

    def fixed(self, lengths: Mapping[str, int]) -> "Part":
        """The part with fixed input sizes; ``lengths`` are those of its named axes."""
        inputs = {
            name: tensor.new_zeros(
                [lengths.get(self.axes[name].get(i, ""), n) for i, n in enumerate(tensor.shape)]
            )
            for name, tensor in self.inputs.items()
        }
        return Part(self.name, self.network, inputs, {key: {} for key in self.outputs}, {})


class TextEncoder(nn.Module):
    """CLIP's text transformer up to the layer that the UNet attends to."""

    def __init__(self, encoder: Any, layers: int, normed: bool, eos: int | None) -> None:
        """``layers`` run; ``normed`` applies the final norm to what the UNet attends to.

        With ``eos`` all layers run for the pooled output: the projection of that token's place.
        """
        super().__init__()
        self.encoder, self.layers, self.normed = encoder, layers, normed
        # int32 as the ids are: comparing with a Python number would widen both to 64 bits
        self.eos = None if eos is None else torch.tensor(eos, dtype=torch.int32)
        later = torch.full((TOKENS, TOKENS), MASKED_SCORE).triu(1)
        self.register_buffer("mask", later[None, None])

    def forward(self, input_ids: Tensor) -> tuple[Tensor, ...]:
        """Token ids (batch, 77) to hidden (batch, 77, width), and pooled (batch, projection)."""
        clip = self.encoder.text_model
        x = clip.embeddings.token_embedding(input_ids) + clip.embeddings.position_embedding.weight
        hidden = x
        for number, layer in enumerate(clip.encoder.layers):
            if number == self.layers and self.eos is None:
                break
            x = layer(x, None, self.mask)[0]
            hidden = x if number + 1 == self.layers else hidden
        if self.normed:
            hidden = clip.final_layer_norm(hidden)
        if self.eos is None:
            return (hidden,)
        # The first place where the id is eos, as a sum: ArgMax and GatherND would leave the GPU.
        is_eos = (input_ids == self.eos).to(x.dtype)
        is_first = is_eos * (is_eos.cumsum(-1) < 2).to(x.dtype)
        pooled = (is_first[:, None] @ clip.final_layer_norm(x))[:, 0]
        return hidden, self.encoder.text_projection(pooled)


class Unet(nn.Module):
    """A UNet with all its conditions as plain inputs, in the order of ``unet_inputs``."""

    def __init__(self, unet: Any, names: Sequence[str]) -> None:
        """``names`` are its inputs after sample, timestep and context, as ``_unet`` lists them."""
        super().__init__()
        self.unet, self.names = unet, tuple(names)

    def forward(self, sample: Tensor, timestep: Tensor, context: Tensor, *more: Tensor) -> Tensor:
        """The prediction, of the sample's shape."""
        given = dict(zip(self.names, more, strict=True))
        conditions: dict[str, Any] = {}
        if "pooled" in given:
            sizes = {"text_embeds": given["pooled"], "time_ids": given["time_ids"]}
            conditions["added_cond_kwargs"] = sizes
        if "guidance" in given:
            conditions["timestep_cond"] = _guidance_embedding(self.unet, given["guidance"])
        return self.unet(sample, timestep, context, return_dict=False, **conditions)[0]


def _guidance_embedding(unet: Any, guidance: Tensor) -> Tensor:
    """Sinusoids of the guidance scale, as LCM's UNets read it."""
    from diffusers.models.embeddings import get_timestep_embedding

    width = unet.config.time_cond_proj_dim
    return get_timestep_embedding(1000 * (guidance - 1), width, flip_sin_to_cos=False)


class VaeDecoder(nn.Module):
    """A full or tiny VAE's decoder, from latents at the UNet's scale."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: Tensor) -> Tensor:
        """The picture (batch, channels, 8 rows, 8 columns), in -1..1 but for overshoot."""
        return self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]


def bundle_parts(pipeline: Any, clip_skip: int | None) -> Iterator[Part]:
    """Text encoders, UNet and VAE decoder of a diffusers pipeline, one after another.

    ``clip_skip`` is SD 1.5's, counted from the end, 1 being the last layer; None is the last.
    """
    is_sdxl = hasattr(pipeline, "text_encoder_2")
    names = ["text_encoder", "text_encoder_2"] if is_sdxl else ["text_encoder"]
    for name in names:
        encoder = getattr(pipeline, name)
        layers = encoder.config.num_hidden_layers - (1 if is_sdxl else (clip_skip or 1) - 1)
        eos = encoder.config.vocab_size - 1 if name == "text_encoder_2" else None
        network = TextEncoder(encoder, layers, normed=not is_sdxl, eos=eos)
        outputs = {"hidden": {0: "batch"}} | ({"pooled": {0: "batch"}} if eos else {})
        ids = torch.zeros(2, TOKENS, dtype=torch.int32)
        yield Part(name, network, {"input_ids": ids}, outputs, {"input_ids": {0: "batch"}})
    yield _unet(pipeline, is_sdxl)
    latent = torch.zeros(2, pipeline.unet.config.in_channels, 16, 16)
    axes = {0: "batch", 2: "rows", 3: "columns"}
    grown = {0: "batch", 2: "image_rows", 3: "image_columns"}
    yield Part(
        "vae_decoder", VaeDecoder(pipeline.vae), {"latents": latent}, {"image": grown},
        {"latents": axes},
    )  # fmt: skip


def _unet(pipeline: Any, is_sdxl: bool) -> Part:
    config = pipeline.unet.config
    image = {0: "batch", 2: "rows", 3: "columns"}
    width = config.encoder_hid_dim or config.cross_attention_dim
    inputs = {
        "sample": torch.zeros(2, config.in_channels, 16, 16),
        "timestep": torch.zeros(1),
        "context": torch.zeros(2, TOKENS, width),
    }
    axes = {"sample": image, "timestep": {0: "timesteps"}, "context": {0: "batch"}}
    if is_sdxl:
        inputs["pooled"] = torch.zeros(2, pipeline.text_encoder_2.config.projection_dim)
        inputs["time_ids"] = torch.zeros(2, 6)
        axes |= {"pooled": {0: "batch"}, "time_ids": {0: "batch"}}
    if takes_guidance_embedding(pipeline.unet):
        inputs["guidance"] = torch.ones(1)
        axes["guidance"] = {0: "timesteps"}
    network = Unet(pipeline.unet, list(inputs)[3:])
    return Part("unet", network, inputs, {"prediction": image}, axes)
