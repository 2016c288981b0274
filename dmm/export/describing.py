"""What ``bundle.json`` says of a checkpoint: how to generate with it, where it comes from."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..bundles.schema import (
    Bundle,
    Encoder,
    Latent,
    Licences,
    Origin,
    SamplingDefaults,
    Schedule,
    StoredFile,
    Tokenizer,
)
from ..bundles.schema import Part as StoredPart
from ..cards import sha256_of
from ..checkpoints.architecture import read_architecture
from ..checkpoints.header import read_metadata
from ..files import write_text
from ..generation.loading import Lora
from ..generation.recipe import Recipe
from .writing import stored

UNKNOWN = "unknown"
MERGES, FORMAT = "tokenizer/merges.txt", "mel.json"


def describe(
    folder: Path,
    name: str,
    pipeline: Any,
    model: Path,
    loras: Sequence[Lora],
    recipe: Recipe,
    parts: dict[str, StoredPart],
    prompts: Sequence[str],
) -> Bundle:
    """The description of a bundle whose parts lie in ``folder``; writes merges and mel format."""
    fmt, factor = recipe.fmt, pipeline.vae_scale_factor
    halvings = len(pipeline.unet.config.block_out_channels) - 1
    return Bundle(
        version=1,
        name=name,
        architecture=read_architecture(model).kind,
        parts=parts,
        tokenizer=_tokenizer(folder, pipeline),
        sampling=_sampling(pipeline, recipe),
        latent=Latent(
            channels=pipeline.unet.config.in_channels,
            rows=fmt.n_mels // factor,
            columns=fmt.n_frames // factor,
            factor=factor,
            scaling_factor=pipeline.vae.config.scaling_factor,
            multiple=2**halvings,
        ),
        anchor=recipe.anchor,
        stereo=recipe.stereo,
        clip_skip=recipe.clip_skip,
        format=_format(folder, recipe),
        prompts=list(prompts),
        licences=_licences(model, loras),
        source=_origin(model, loras),
    )


def _tokenizer(folder: Path, pipeline: Any) -> Tokenizer:
    """CLIP's merges, cut as the model's vocabulary is, and each encoder's special ids."""
    ranks = pipeline.tokenizer.bpe_ranks
    lines = ["#version: 0.2", *(" ".join(pair) for pair in sorted(ranks, key=ranks.get))]
    write_text(folder / MERGES, "\n".join(lines) + "\n")
    tokenizers = [
        found for name in ("tokenizer", "tokenizer_2") if (found := getattr(pipeline, name, None))
    ]
    encoders = [
        Encoder(
            vocab_size=len(tokenizer),
            bos=tokenizer.bos_token_id,
            eos=tokenizer.eos_token_id,
            pad=tokenizer.pad_token_id,
            max_length=tokenizer.model_max_length,
        )
        for tokenizer in tokenizers
    ]
    return Tokenizer(merges=_within(folder, MERGES), encoders=encoders)


def _format(folder: Path, recipe: Recipe) -> StoredFile:
    write_text(folder / FORMAT, recipe.fmt.model_dump_json(indent=1) + "\n")
    return _within(folder, FORMAT)


def _within(folder: Path, file: str) -> StoredFile:
    return stored(folder / file).model_copy(update={"file": file})


def _sampling(pipeline: Any, recipe: Recipe) -> SamplingDefaults:
    config, sampling = pipeline.scheduler.config, recipe.sampling
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


def _licences(model: Path, loras: Sequence[Lora]) -> Licences:
    own = read_metadata(model)
    learnt = [read_metadata(lora.path) for lora in loras]
    fused = json.loads(own.get("dmm_fused") or "{}").get("loras", [])
    music = [
        found["dmm_music_licences"] for found in (own, *learnt) if "dmm_music_licences" in found
    ]
    return Licences(
        base=own.get("modelspec.license", UNKNOWN),
        loras=[
            found.get("modelspec.license", UNKNOWN)
            for found in (*(lora["metadata"] for lora in fused), *learnt)
        ],
        music=music,
    )


def _origin(model: Path, loras: Sequence[Lora]) -> Origin:
    return Origin(
        checkpoint_sha256=sha256_of(model),
        loras=[
            {"file": lora.path.name, "sha256": sha256_of(lora.path), "weight": lora.weight}
            for lora in loras
        ],
        dmm_version=version("diffusion-minimidi"),
    )
