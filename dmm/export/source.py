"""A checkpoint with its LoRAs in memory, and what PyTorch computes with it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..bundles.schema import SamplingDefaults, Schedule
from ..checkpoints.pipeline import load_pipeline
from ..checkpoints.tensorfile import main_dtype, open_tensors
from ..generation.denoising import takes_guidance_embedding
from ..generation.loading import Lora, open_pipeline
from ..generation.requests import with_anchor
from ..generation.settings import GenerationSettings
from .reference import SamplingRun
from .scoring import ClipScorer, ClipScores
from .torch_parts import run_part
from .traceable_parts import bundle_parts

STRIP = 8
"""Columns of latents whose decoded image is stored unrounded."""


class Source:
    """A checkpoint loaded on the CPU."""

    def __init__(
        self, model: Path, settings: GenerationSettings, loras: Sequence[Lora] = ()
    ) -> None:
        """ModelError for files that do not load or do not fit each other."""
        self.model, self.settings, self.loras = model, settings, tuple(loras)
        self.pipeline = self._load()
        found = bundle_parts(self.pipeline, settings.clip_skip)
        self.parts = {part.name: part for part in found}
        self.takes_guidance = takes_guidance_embedding(self.pipeline.unet)
        """Whether the UNet takes the guidance scale as an input."""

    def _load(self) -> Any:
        """Load in the checkpoint's own precision, or in fp32 to merge LoRAs."""
        if self.loras:
            return open_pipeline(self.model, self.loras, device="cpu", precision="fp32")
        with open_tensors(self.model) as file:
            dtype = main_dtype(file)
        return load_pipeline(self.model, dtype)

    def run(self, name: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """A part's outputs by PyTorch, in single precision."""
        return run_part(self.parts[name], inputs)

    def release(self, name: str) -> None:
        """Free a part's memory; it can no longer run."""
        del self.parts[name]
        setattr(self.pipeline, "vae" if name == "vae_decoder" else name, None)

    def ids(self, text: str) -> list[np.ndarray]:
        """Token ids for each text encoder, by transformers' tokenisers."""
        return [
            np.array(
                tokenizer(
                    text,
                    padding="max_length",
                    max_length=tokenizer.model_max_length,
                    truncation=True,
                ).input_ids,
                np.int32,
            )
            for tokenizer in self.tokenizers
        ]

    @property
    def tokenizers(self) -> list[Any]:
        """One for each text encoder."""
        names = ("tokenizer", "tokenizer_2")
        return [getattr(self.pipeline, name) for name in names if hasattr(self.pipeline, name)]

    @property
    def sampling(self) -> SamplingDefaults:
        """Sampler settings and noise schedule."""
        config, sampling = self.pipeline.scheduler.config, self.settings.sampling
        return SamplingDefaults(
            sampler={"dpmsolver++": "dpm++-2m-karras"}.get(sampling.sampler, sampling.sampler),
            steps=sampling.steps,
            guidance=sampling.guidance,
            negative_prompt=sampling.negative_prompt,
            prediction_type=config.prediction_type,
            schedule=Schedule(
                train_timesteps=config.num_train_timesteps,
                beta_start=config.beta_start,
                beta_end=config.beta_end,
                beta_schedule=config.beta_schedule,
                timestep_spacing=config.timestep_spacing,
                steps_offset=config.steps_offset,
                rescale_betas_zero_snr=config.get("rescale_betas_zero_snr", False),
            ),
        )

    @property
    def latent_size(self) -> tuple[int, int]:
        """Rows and columns of one clip's latents."""
        factor, fmt = self.pipeline.vae_scale_factor, self.settings.fmt
        return fmt.n_mels // factor, fmt.n_frames // factor

    @property
    def rows(self) -> int:
        """Rows of the UNet's batch for one clip."""
        is_guided = self.settings.sampling.guidance > 1 and not self.takes_guidance
        return 2 if is_guided else 1

    def sizes(self, rows: int) -> dict[str, int]:
        """Lengths of all named axes for a batch of ``rows``."""
        height, width = self.latent_size
        factor = self.pipeline.vae_scale_factor
        return {
            "batch": rows, "timesteps": 1, "rows": height, "columns": width,
            "image_rows": height * factor, "image_columns": width * factor,
        }  # fmt: skip

    def sampling_run(self, prompt: str, seed: int = 0, whole_strip: bool = False) -> SamplingRun:
        """Settings of one clip; ``whole_strip`` stores all of the decoder's output."""
        rows, columns = self.latent_size
        return SamplingRun(
            prompt=with_anchor(self.settings.anchor, prompt),
            sampling=self.sampling,
            shape=(1, self.pipeline.unet.config.in_channels, rows, columns),
            factor=self.pipeline.vae_scale_factor,
            stereo=self.settings.stereo,
            strip=columns if whole_strip else min(STRIP, columns),
            takes_guidance=self.takes_guidance,
            seed=seed,
        )

    def scores(self, scorer: ClipScorer, prompts: Sequence[str]) -> ClipScores:
        """Scores of PyTorch's clips, one for each prompt."""
        sampling_runs = [self.sampling_run(prompt, seed) for seed, prompt in enumerate(prompts)]
        return scorer.score(
            self.run, self.ids, sampling_runs, self.settings.fmt, prompts, "clips by PyTorch"
        )
