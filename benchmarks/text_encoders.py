"""Text encoders frozen or trained with the UNet: ``python benchmarks/text_encoders.py DATASET``.

Reads a DATASET (``dmm data build --source minimidi --count 4000 --format nano --out DIR``). Three
UNets start from the same weights and are trained on the same batches: with pretrained, frozen text
encoders; with the same encoders trained at a tenth of the learning rate; and with randomly
initialised encoders trained at the full rate. All are scored on the val and test splits with equal
noise and timesteps. Prints one Markdown row per arm: mean squared error of v, its difference to the
frozen encoders with a standard error, and its increase with another clip's caption, which measures
the use of captions. States are kept in ``--work``, so that an interrupted run resumes.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from provenance import provenance
from torch import Tensor

from dmm.checkpoints.pipeline import load_pipeline
from dmm.fitting.compute import Compute
from dmm.fitting.loop import Schedule
from dmm.pretraining.diffusion import Tokens, train_unet, velocity_errors
from dmm.pretraining.latents import refresh_cached_latents
from dmm.pretraining.nano import (
    CAPTION_VARIANTS,
    NANO,
    build_four_networks,
    empty_tokens,
    load_images_and_captions,
    tokenize_variants,
    vary_captions,
)
from dmm.pretraining.text import TextEncoders, train_text_encoders

CHECKPOINT = Path(__file__).parents[1] / "models" / "nano" / "nano.safetensors"
TIMESTEPS = tuple(range(50, 1000, 100))
HEADER = (
    "| date | commit | machine | seed | text encoders | clips | steps | unseen | v error"
    " | against frozen | other caption |\n|" + "---|" * 11
)


@dataclass(frozen=True)
class Arm:
    """One treatment of the text encoders."""

    name: str
    is_pretrained: bool
    text_rate: float


ARMS = (
    Arm("words, frozen", True, 0.0),
    Arm("words, then joint at 0.1", True, 0.1),
    Arm("joint from random", False, 1.0),
)


@dataclass(frozen=True)
class Clips:
    """Latents of a dataset's clips, and variants of their captions."""

    latents: Tensor
    tokens: Tokens
    wordings: list[list[str]]


def read_clips(
    vae: Any, dataset: Path, splits: Sequence[str], variants: int, work: Path, compute: Compute
) -> Clips:
    """Read some splits; with one variant the captions are unchanged."""
    parts = [
        load_images_and_captions(dataset, split)
        for split in splits
        if any((dataset / split).glob("*.png"))
    ]
    images = torch.cat([images for images, _, _ in parts])
    captions = [caption for _, captions, _ in parts for caption in captions]
    anchor = parts[0][2]
    wordings = [captions]
    if variants > 1:
        wordings = [vary_captions(captions, anchor, seed) for seed in range(variants)]
    latents = refresh_cached_latents(vae, images, work / "-".join(splits), compute)
    return Clips(latents, tokenize_variants(wordings), wordings)


def errors_of(
    arm: Arm, seen: Clips, unseen: Clips, options: argparse.Namespace, compute: Compute
) -> tuple[Tensor, Tensor]:
    """Train one arm; returns each unseen clip's error with its own and with another caption."""
    torch.manual_seed(options.seed)
    unet, te1, te2, _ = build_four_networks(NANO)
    encoders, seed = TextEncoders(te1, te2), options.seed
    if arm.is_pretrained:
        captions = [caption for wording in seen.wordings for caption in wording]
        words = Schedule(options.text_steps, 64, 2e-3)
        state = options.work / f"text-{seed}.pt"
        encoders = train_text_encoders(te1, te2, captions, words, state, seed, compute)
    schedule = Schedule(options.steps, options.batch_size, 1.5e-3, warmup=100, ema_decay=0.999)
    state = options.work / f"{arm.name.replace(', ', '-').replace(' ', '-')}-{seed}.pt"
    denoiser = train_unet(
        unet,
        seen.latents,
        encoders,
        seen.tokens,
        empty_tokens(),
        schedule,
        state,
        seed,
        compute,
        text_rate=arm.text_rate,
    )
    own = (unseen.tokens[0][0], unseen.tokens[1][0])
    away = len(unseen.latents) // 2  # clips are sorted by style
    other = (own[0].roll(away, 0), own[1].roll(away, 0))
    first, second = (
        velocity_errors(denoiser, unseen.latents, tokens, TIMESTEPS, seed, compute)
        for tokens in (own, other)
    )
    return first, second


def with_error(values: Tensor) -> str:
    """Signed mean with its standard error."""
    return f"{values.mean():+.4f} ± {values.std() / len(values) ** 0.5:.4f}"


def main() -> None:
    """Train and score all arms, and print a row for each."""
    parser = argparse.ArgumentParser(description="Text encoders frozen or joint, at equal steps.")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for states and latents")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="whose VAE serves")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--text-steps", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="bf16")
    options = parser.parse_args()
    compute = Compute(options.device, options.precision)
    vae = load_pipeline(options.checkpoint).vae
    common = (options.work, compute)
    seen = read_clips(vae, options.dataset, ["train"], CAPTION_VARIANTS, *common)
    unseen = read_clips(vae, options.dataset, ["val", "test"], 1, *common)
    print(HEADER)
    frozen = None
    for arm in ARMS:
        own, other = errors_of(arm, seen, unseen, options, compute)
        frozen = own if frozen is None else frozen
        cells = (
            *provenance(str(compute.torch_device)),
            str(options.seed),
            arm.name,
            str(len(seen.latents)),
            f"{options.steps} x {options.batch_size}",
            str(len(unseen.latents)),
            f"{own.mean():.4f}",
            "" if own is frozen else with_error(own - frozen),
            with_error(other - own),
        )
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
