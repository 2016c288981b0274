"""Mel images by the engine's own networks while they are in training.

What is drawn is what ``dmm generate`` makes later from the saved LoRA with the same prompt, seed
and sampling: the same noise, schedule, guidance and rounding. In full precision on a CPU it is so
to one grey level; in bfloat16 it is the same clip but for rounding. Words and noise predictions go
through the trainer's own methods, so SDXL and SD 1.5 are drawn alike. Prompts of over 75 tokens
are an exception: training may read them whole (``max_token_length``), ``dmm generate`` does not.
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

from .engine_state import Parts

if TYPE_CHECKING:
    from dmm.generation.sampling import Sampling

BATCH = 4
"""Clips drawn at once; guidance doubles it. A step without gradients needs far less than one of
training, and the pictures are decoded one at a time."""


class Drawer:
    """Draws the texts it was made with; they are read once unless text encoders train too."""

    def __init__(
        self,
        parts: Parts,
        trainer: Any,
        texts: Sequence[str],
        size: tuple[int, int],
        sampling: "Sampling",
    ) -> None:
        """``size`` is (rows, frames) of a picture in pixels."""
        self.parts, self.trainer, self.size, self.sampling = parts, trainer, size, sampling
        unwrap = parts.accelerator.unwrap_model  # one process draws: nothing may be synchronised
        self.unet = unwrap(parts.unet)
        self.text_encoders = [unwrap(encoder) for encoder in parts.text_encoders]
        self.texts = [sampling.negative_prompt, *dict.fromkeys(texts)]
        learning = trainer.is_train_text_encoder(parts.args)
        self.conditions = None if learning else self._read()

    def draw(self, texts: Sequence[str], seeds: Sequence[int]) -> list[np.ndarray]:
        """Grey images (rows, frames), uint8, one a text, each from its own seed.

        All models are afterwards where and in the mode they were. ModelError if a picture is not
        finite.
        """
        conditions = self._read() if self.conditions is None else self.conditions
        latents = []
        for start in range(0, len(texts), BATCH):
            rows = [self.texts.index(text) for text in texts[start : start + BATCH]]
            latents += self._sample(conditions, rows, seeds[start : start + BATCH])
        return self._decode(latents)

    def _read(self) -> list[torch.Tensor]:
        """Conditions of all texts, on the CPU; the first row is the negative prompt's."""
        args, accelerator = self.parts.args, self.parts.accelerator
        tokenize: Any = TokenizeStrategy.get_strategy()
        encoding: Any = TextEncodingStrategy.get_strategy()
        models = self.trainer.get_models_for_text_encoding(args, accelerator, self.text_encoders)
        with resting([*self.text_encoders, self.parts.network]), accelerator.autocast():
            found = encoding.encode_tokens(tokenize, models, tokenize.tokenize(self.texts))
        return [condition.cpu() for condition in found]

    def _sample(
        self, conditions: list[torch.Tensor], rows: list[int], seeds: Sequence[int]
    ) -> list[torch.Tensor]:
        """Latents of a batch, without noise, on the CPU."""
        from dmm.generation.denoising import step_arguments

        device, guided = self.parts.accelerator.device, self.sampling.guidance > 1
        scheduler = make_scheduler(self.sampling, self.parts.args.v_parameterization)
        scheduler.set_timesteps(self.sampling.steps, device=device)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        noise = next_noise(generators, self._latent_shape())
        latents = noise.to(device) * scheduler.init_noise_sigma
        extra = step_arguments(scheduler, generators)
        asked = [0] * len(rows) + rows if guided else rows
        own = [c[asked].to(device, dtype=self.parts.weight_dtype) for c in conditions]
        with resting([self.unet, self.parts.network]):
            for timestep in scheduler.timesteps:
                noisy = torch.cat([latents, latents]) if guided else latents
                found = self._predict(scheduler.scale_model_input(noisy, timestep), timestep, own)
                if guided:
                    without, asked_for = found.chunk(2)
                    found = without + self.sampling.guidance * (asked_for - without)
                latents = scheduler.step(found, timestep, latents, return_dict=False, **extra)[0]
        return list(latents.cpu())

    def _predict(
        self, noisy: torch.Tensor, timestep: torch.Tensor, conditions: list[torch.Tensor]
    ) -> torch.Tensor:
        """The network's prediction for a batch (batch, channels, rows/8, frames/8), float32."""
        parts, n = self.parts, len(noisy)
        sizes = torch.tensor([self.size] * n)
        batch = {
            "original_sizes_hw": sizes,
            "crop_top_lefts": torch.zeros_like(sizes),
            "target_sizes_hw": sizes,
        }
        with parts.accelerator.autocast():
            return self.trainer.call_unet(
                parts.args, parts.accelerator, self.unet, noisy, timestep.expand(n), conditions,
                batch, parts.weight_dtype,
            ).float()  # fmt: skip

    def _latent_shape(self) -> tuple[int, int, int]:
        config = self.parts.vae.config
        factor = 2 ** (len(config.block_out_channels) - 1)
        return config.latent_channels, self.size[0] // factor, self.size[1] // factor

    def _decode(self, latents: list[torch.Tensor]) -> list[np.ndarray]:
        """Pictures one at a time, because a VAE in full precision takes gigabytes for each."""
        vae, device = self.parts.vae, self.parts.accelerator.device
        home = vae.device
        try:
            vae.to(device, dtype=self.parts.vae_dtype)
            with resting([vae]):
                return [self._picture(latent[None].to(device)) for latent in latents]
        finally:
            vae.to(home)
            clean_memory_on_device(device)

    def _picture(self, latent: torch.Tensor) -> np.ndarray:
        scaled = (latent / self.trainer.vae_scale_factor).to(self.parts.vae_dtype)
        pixels = self.parts.vae.decode(scaled).sample[0].float()  # (3, rows, frames) in -1..1
        if not torch.isfinite(pixels).all():
            raise ModelError(
                "a preview holds NaN: the LoRA has diverged (lower the learning rate) or the VAE "
                f"overflows in {str(self.parts.vae_dtype).removeprefix('torch.')} (no_half_vae)"
            )
        levels = (pixels / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().numpy()
        return np.rint(levels.mean(-1) * 255).astype(np.uint8)


def make_scheduler(sampling: "Sampling", v_prediction: bool) -> Any:
    """The scheduler that ``dmm generate`` would draw with."""
    import diffusers

    from dmm.checkpoints.pipeline import SCHEDULER
    from dmm.generation import sampling as samplers

    prediction = "v_prediction" if v_prediction else "epsilon"
    own: Any = diffusers.EulerDiscreteScheduler.from_config(
        SCHEDULER | {"prediction_type": prediction}
    )
    return samplers.make_scheduler(sampling.sampler, own.config)


@contextmanager
def resting(modules: Iterable[torch.nn.Module]) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every submodule is in the mode it was in."""
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
def random_untouched(device: torch.device) -> Iterator[None]:
    """Every global random state is afterwards what it was, so that training goes on the same."""
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
