"""Generate mel images with the engine's own networks while they are in training.

The result is what ``dmm generate`` makes from the saved LoRA with the same prompt, seed and
sampling: the same noise, schedule, guidance and rounding. In full precision on a CPU it is equal to
one grey level; in bfloat16 it differs by rounding only. Text encoding and noise prediction use the
trainer's own methods, so SDXL and SD 1.5 share this code. Prompts of over 75 tokens are an
exception: training may read them whole (``max_token_length``), ``dmm generate`` does not.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from library.device_utils import clean_memory_on_device
from library.strategy_base import TextEncodingStrategy, TokenizeStrategy

from dmm.errors import ModelError
from dmm.noise import next_noise

from .engine_state import EngineState

if TYPE_CHECKING:
    from dmm.generation.sampling import Sampling

BATCH = 4
"""Clips per batch, twice as many with guidance. A step without gradients needs far less memory than
one of training, and images are decoded one at a time."""


class ImageGenerator:
    """Generates images for a fixed set of texts, encoded once unless text encoders train too."""

    def __init__(
        self,
        engine: EngineState,
        trainer: Any,
        texts: Sequence[str],
        size: tuple[int, int],
        sampling: "Sampling",
    ) -> None:
        """``size`` is (rows, frames) of an image in pixels."""
        self.engine, self.trainer, self.size, self.sampling = engine, trainer, size, sampling
        unwrap = engine.accelerator.unwrap_model  # one process generates: nothing to synchronise
        self.unet = unwrap(engine.unet)
        self.text_encoders = [unwrap(encoder) for encoder in engine.text_encoders]
        self.texts = [sampling.negative_prompt, *dict.fromkeys(texts)]
        trains_text = trainer.is_train_text_encoder(engine.args)
        self.embeddings = None if trains_text else self._encode_texts()

    def generate(self, texts: Sequence[str], seeds: Sequence[int]) -> list[np.ndarray]:
        """Grey images (rows, frames), uint8, one per text, each from its own seed.

        The device and mode of all models are restored. ModelError if an image is not finite.
        """
        embeddings = self._encode_texts() if self.embeddings is None else self.embeddings
        latents = []
        for start in range(0, len(texts), BATCH):
            rows = [self.texts.index(text) for text in texts[start : start + BATCH]]
            latents += self._sample_latents(embeddings, rows, seeds[start : start + BATCH])
        return self._decode_images(latents)

    def _encode_texts(self) -> list[torch.Tensor]:
        """Embeddings of all texts, on the CPU; the first row is the negative prompt's."""
        args, accelerator = self.engine.args, self.engine.accelerator
        tokenize: Any = TokenizeStrategy.get_strategy()
        encoding: Any = TextEncodingStrategy.get_strategy()
        models = self.trainer.get_models_for_text_encoding(args, accelerator, self.text_encoders)
        with (
            evaluation_without_gradients([*self.text_encoders, self.engine.network]),
            accelerator.autocast(),
        ):
            found = encoding.encode_tokens(tokenize, models, tokenize.tokenize(self.texts))
        return [embedding.cpu() for embedding in found]

    def _sample_latents(
        self, embeddings: list[torch.Tensor], rows: list[int], seeds: Sequence[int]
    ) -> list[torch.Tensor]:
        """Denoised latents of a batch, on the CPU."""
        from dmm.generation.denoising import step_arguments

        device, guided = self.engine.accelerator.device, self.sampling.guidance > 1
        scheduler = make_scheduler(self.sampling, self.engine.args.v_parameterization)
        scheduler.set_timesteps(self.sampling.steps, device=device)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = next_noise(generators, self._latent_shape())
        latents = noise.to(device) * scheduler.init_noise_sigma
        extra = step_arguments(scheduler, generators)
        chosen = [0] * len(rows) + rows if guided else rows
        on_device = [e[chosen].to(device, dtype=self.engine.weight_dtype) for e in embeddings]
        with evaluation_without_gradients([self.unet, self.engine.network]):
            for timestep in scheduler.timesteps:
                noisy = torch.cat([latents, latents]) if guided else latents
                prediction = self._predict(
                    scheduler.scale_model_input(noisy, timestep), timestep, on_device
                )
                if guided:
                    negative, positive = prediction.chunk(2)
                    prediction = negative + self.sampling.guidance * (positive - negative)
                latents = scheduler.step(prediction, timestep, latents, return_dict=False, **extra)[
                    0
                ]
        return list(latents.cpu())

    def _predict(
        self, noisy: torch.Tensor, timestep: torch.Tensor, embeddings: list[torch.Tensor]
    ) -> torch.Tensor:
        """The network's prediction for a batch (batch, channels, rows/8, frames/8), float32."""
        engine, n = self.engine, len(noisy)
        sizes = torch.tensor([self.size] * n)
        batch = {
            "original_sizes_hw": sizes,
            "crop_top_lefts": torch.zeros_like(sizes),
            "target_sizes_hw": sizes,
        }
        with engine.accelerator.autocast():
            return self.trainer.call_unet(
                engine.args, engine.accelerator, self.unet, noisy, timestep.expand(n), embeddings,
                batch, engine.weight_dtype,
            ).float()  # fmt: skip

    def _latent_shape(self) -> tuple[int, int, int]:
        config = self.engine.vae.config
        factor = 2 ** (len(config.block_out_channels) - 1)
        return config.latent_channels, self.size[0] // factor, self.size[1] // factor

    def _decode_images(self, latents: list[torch.Tensor]) -> list[np.ndarray]:
        """Decode images one at a time, because a VAE in full precision takes gigabytes for each."""
        vae, device = self.engine.vae, self.engine.accelerator.device
        home = vae.device
        try:
            vae.to(device, dtype=self.engine.vae_dtype)
            with evaluation_without_gradients([vae]):
                return [self._decode_image(latent[None].to(device)) for latent in latents]
        finally:
            vae.to(home)
            clean_memory_on_device(device)

    def _decode_image(self, latent: torch.Tensor) -> np.ndarray:
        """Decode a latent to a grey mel image; ModelError for NaN or infinity."""
        scaled = (latent / self.trainer.vae_scale_factor).to(self.engine.vae_dtype)
        pixels = self.engine.vae.decode(scaled).sample[0].float()  # (3, rows, frames) in -1..1
        if not torch.isfinite(pixels).all():
            raise ModelError(
                "a preview holds NaN: the LoRA has diverged (lower the learning rate) or the VAE "
                f"overflows in {str(self.engine.vae_dtype).removeprefix('torch.')} (no_half_vae)"
            )
        levels = (pixels / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        return np.rint(levels.mean(-1) * 255).astype(np.uint8)


def make_scheduler(sampling: "Sampling", v_prediction: bool) -> Any:
    """The scheduler that ``dmm generate`` uses for this sampling."""
    import diffusers

    from dmm.checkpoints.pipeline import SCHEDULER
    from dmm.generation import sampling as samplers

    prediction = "v_prediction" if v_prediction else "epsilon"
    euler: Any = diffusers.EulerDiscreteScheduler.from_config(
        SCHEDULER | {"prediction_type": prediction}
    )
    return samplers.make_scheduler(sampling.sampler, euler.config)


@contextmanager
def evaluation_without_gradients(modules: Iterable[torch.nn.Module]) -> Iterator[None]:
    """Evaluation mode without gradients; the mode of every submodule is restored."""
    modes = [(part, part.training) for module in modules for part in module.modules()]
    try:
        for part, _ in modes:
            part.training = False
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def preserved_random_states(device: torch.device) -> Iterator[None]:
    """Restore every global random state after the block, so that training is not affected."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if on_gpu is not None:
            torch.cuda.set_rng_state(on_gpu, device)
