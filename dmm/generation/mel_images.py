"""Generate mel images for clip requests: noise, prompt embeddings, sampling, VAE.

Noise is made on the CPU, so that a seed gives the same noise on every device.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from ..codec.mel import MelImage
from ..errors import ModelError
from ..noise import first_noise, next_noise, slerp
from .callbacks import OnStep, ignore_step
from .conditioning import Conditioning, PromptEmbeddings, embed_prompts
from .denoising import Latents, Predict, predict, sample
from .requests import ClipRequest
from .settings import GenerationSettings


def generate_images(
    pipeline: Any,
    batch: Sequence[ClipRequest],
    settings: GenerationSettings,
    on_step: OnStep = ignore_step,
) -> list[MelImage]:
    """One mel image per request, each from its own seed; ModelError for NaN or infinity."""
    latents = generate_latents(pipeline, batch, settings, on_step)
    return list(decode_images(pipeline, latents, settings))


def generate_latents(
    pipeline: Any,
    batch: Sequence[ClipRequest],
    settings: GenerationSettings,
    on_step: OnStep = ignore_step,
    predict: Predict = predict,
) -> Latents:
    """Denoised latents on the CPU, one row per request.

    Values that overflow in half precision are infinite or NaN, without an error.
    """
    generators = [torch.Generator().manual_seed(request.seed) for request in batch]
    shape = latent_shape(pipeline, settings.fmt.n_mels, settings.fmt.n_frames)
    noise = next_noise(generators, shape)
    for number, request in enumerate(batch):
        for seed, share in request.toward_seeds:
            noise[number] = slerp(noise[number], first_noise([seed], shape)[0], share)
    conditioning = embed_requests(pipeline, batch, settings)
    sampling, init = settings.sampling, settings.init
    return sample(pipeline, noise, conditioning, sampling, generators, init, on_step, predict)


def embed_requests(
    pipeline: Any, batch: Sequence[ClipRequest], settings: GenerationSettings
) -> Conditioning:
    """Conditioning with one row per request; each distinct text is embedded once."""
    texts = [settings.sampling.negative_prompt]
    for request in batch:
        texts += settings.anchored_prompts(request)
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    embedded = embed_prompts(pipeline, list(numbers), settings.clip_skip)
    prompts = []
    for request in batch:
        first, *second = (
            embedded.rows([numbers[text]]) for text in settings.anchored_prompts(request)
        )
        if request.toward_prompt:
            first = first.interpolate(second[0], request.toward_prompt[1])
        prompts.append(first)
    negative = embedded.rows([0] * len(batch))
    return Conditioning(PromptEmbeddings.concatenate(prompts), negative, settings.sampling.guidance)


def latent_shape(pipeline: Any, rows: int, frames: int) -> tuple[int, int, int]:
    """(channels, rows, frames) of an image's latents."""
    factor = pipeline.vae_scale_factor
    return pipeline.unet.config.in_channels, rows // factor, frames // factor


def decode_images(
    pipeline: Any, latents: Latents, settings: GenerationSettings
) -> Iterator[MelImage]:
    """Yield the clips' mel images, decoded one at a time: SDXL's VAE needs gigabytes for each.

    With an init image, its columns outside the repainted span are restored. ModelError for NaN or
    infinity.
    """
    for latent in latents.split(1):
        image = to_mel_image(decode_latent(pipeline, latent), settings.stereo)
        yield settings.init.restore_outside_span(image) if settings.init else image


@torch.no_grad()
def decode_latent(pipeline: Any, latent: Latents) -> Float[np.ndarray, "rows frames 3"]:
    """Decode the latents of one clip by the VAE to RGB in 0..1; ModelError for NaN or infinity."""
    vae = pipeline.vae
    scaled = latent.to(pipeline._execution_device, vae.dtype) / vae.config.scaling_factor
    image = vae.decode(scaled, return_dict=False)[0][0].float()
    if not torch.isfinite(image).all():
        raise ModelError(
            "an image holds NaN or infinity: a LoRA has diverged, or the weights are damaged"
        )
    rgb = image.expand(3, -1, -1)  # a tiny VAE may decode to one grey channel
    return (rgb / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()


def to_mel_image(rgb: Float[np.ndarray, "rows frames 3"], stereo: bool) -> MelImage:
    """An RGB image in 0..1 as a mel image: all channels for stereo, else their mean."""
    return np.rint((rgb if stereo else rgb.mean(-1)) * 255).astype(np.uint8)
