"""``dmm pretrain``: train nano, an SDXL-architecture model of 8 million parameters, from scratch.

The VAE is trained on images, the text encoders on captions, then the UNet on latents and captions.
Each stage keeps its state beside the output, so that an interrupted command resumes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..checkpoints import networks
from ..checkpoints.architecture import prediction_type, read_architecture
from ..checkpoints.header import read_metadata
from ..checkpoints.lora import LATENTS
from ..checkpoints.network_shapes import TextEncoderShapes
from ..checkpoints.pipeline import load_pipeline
from ..checkpoints.sdxl_layout import save_checkpoint, single_file_tensors
from ..checkpoints.sdxl_shapes import SIZE_EMBEDDING, SdxlShapes
from ..codec.mel import MelFormat
from ..errors import InputError, ModelError, PresetError
from ..files import output_lock, read_json
from ..fitting.compute import ON_CPU, Compute
from ..fitting.loop import Schedule
from ..progress import progress_bar
from .caption_check import check_captions
from .diffusion import Denoiser, Tokens, held_out_errors, train_unet
from .latents import encode_latents, latents_identity, refresh_cached_latents
from .text import TextEncoders, tokenize, train_text_encoders
from .vae import train_decoder, train_vae

_TE1 = TextEncoderShapes(vocab_size=1024, hidden_size=64, intermediate_size=64, num_layers=12)
_TE2 = TextEncoderShapes(vocab_size=1024, hidden_size=128, intermediate_size=256, num_layers=2)
NANO = SdxlShapes(
    latent_channels=8,
    model_channels=32,
    time_embed_dim=128,
    adm_channels=_TE2.hidden_size + SIZE_EMBEDDING,
    context_dim=_TE1.hidden_size + _TE2.hidden_size,
    depths=(1, 1),
    te1=_TE1,
    te2=_TE2,
    vae_channels=(32, 32, 64, 64),
    vae_layers=1,
)
"""Sizes of nano: the smallest that GroupNorm's 32 groups and CLIP's heads of width 64 allow."""

FORMAT = "nano"
"""The mel format that nano is trained on."""
CAPTION_VARIANTS = 4
"""Random variants of each caption that the networks are trained on."""
VAE_SCHEDULE = {"learning_rate": 3e-3, "ema_decay": 0.998, "decay": 0.5, "optimizer": "muon"}
UNET_SCHEDULE = {"learning_rate": 5e-3, "ema_decay": 0.999, "decay": 0.5, "optimizer": "muon"}
"""Both by comparisons of docs/log.md; Muon at 1e-2 learns faster at first and then diverges."""
VALIDATION_CLIPS = 96


def pretrain(
    dataset: Path,
    out: Path,
    extra: Path | None = None,
    start: Path | None = None,
    vae_steps: int = 1000,
    text_steps: int = 600,
    unet_steps: int = 3000,
    batch_size: int = 32,
    decoder_only: bool = False,
    seed: int = 0,
    compute: Compute = ON_CPU,
) -> Path:
    """Train all four networks on a DATASET's train split and write one checkpoint.

    Before, captions of MiniMIDI clips are compared with their images. While the UNet is trained,
    its error on the val split's first clips is measured every ten minutes, and the model as it is
    then is written to ``early.safetensors`` in the state's folder, for ``dmm bench minimidi``.

    ``extra`` is a second DATASET for the VAE alone, so that a LoRA can later teach the UNet sounds
    that the VAE already decodes. ``start`` is a checkpoint to begin with; networks with 0 steps
    keep its weights exactly. ``decoder_only`` keeps the latents and trains the VAE's decoder.
    ``batch_size`` is the UNet's. InputError if a folder holds no images or those of another mel
    format, or another command writes ``out``, ModelError if ``start`` does not fit, PresetError for
    steps that make no working model.
    """
    _check_steps(start, vae_steps, text_steps, unet_steps, decoder_only)
    with compute.in_main_process(output_lock(out)):
        torch.manual_seed(seed)
        unet, te1, te2, vae = read_networks(start) if start else build_four_networks(NANO)
        for one in filter(None, (dataset, extra)):
            refuse_other_format(one, FORMAT, "dmm pretrain")
        images, captions, anchor = load_images_and_captions(dataset)
        if _read_dataset_json(dataset)["options"].get("source") == "minimidi" and compute.is_main:
            check_captions(images, captions, MelFormat(**_read_dataset_json(dataset)["format"]))
        state = out.with_suffix(".state")
        if vae_steps:
            vae_images = (
                torch.cat([images, load_images_and_captions(extra)[0]]) if extra else images
            )
            train = train_decoder if decoder_only else train_vae
            schedule = Schedule(vae_steps, 6, **VAE_SCHEDULE)
            vae = train(vae, vae_images, schedule, state / "vae.pt", seed, compute)
        variants = [vary_captions(captions, anchor, seed + i) for i in range(CAPTION_VARIANTS)]
        encoders = TextEncoders(te1, te2)
        if text_steps:
            all_captions = [caption for variant in variants for caption in variant]
            schedule = Schedule(text_steps, 64, 2e-3)
            encoders = train_text_encoders(
                te1, te2, all_captions, schedule, state / "text.pt", seed, compute
            )
        if start and (decoder_only or not vae_steps):
            identity = read_metadata(start).get(LATENTS)
        else:
            identity = latents_identity(vae)
        metadata = {"modelspec.prediction_type": "v", "dmm_format": FORMAT}
        metadata |= {LATENTS: identity} if identity else {}

        def save(path: Path, unet: Any) -> None:
            tensors = single_file_tensors(unet, encoders.te1, encoders.te2, vae)
            save_checkpoint(path, tensors, metadata, torch.float16)

        if unet_steps:
            latents = refresh_cached_latents(vae, images, state / "latents", compute)
            schedule = Schedule(unet_steps, batch_size, warmup=100, **UNET_SCHEDULE)
            tokens, empty = tokenize_variants(variants), empty_tokens()
            held_out = _held_out_latents_and_tokens(dataset, vae, compute)

            def validate(denoiser: Denoiser) -> dict[str, float]:
                if compute.is_main:
                    save(state / "early.safetensors", denoiser.unet)
                return held_out_errors(denoiser, *held_out, compute) if held_out else {}

            unet = train_unet(
                unet, latents, encoders, tokens, empty, schedule, state / "unet.pt", seed, compute,
                validate=validate,
            ).unet  # fmt: skip
        if compute.is_main:
            save(out, unet)
    return out


def refuse_other_format(dataset: Path, wanted: str, whose: str) -> None:
    """InputError if the dataset's mel format is not ``wanted``, the format of ``whose``."""
    name = (_read_dataset_json(dataset).get("format") or {}).get("name")
    if name != wanted:
        raise InputError(
            f"{dataset}: its mel format is {name}, that of {whose} is {wanted}; "
            f"build it with --format {wanted}"
        )


def _held_out_latents_and_tokens(
    dataset: Path, vae: Any, compute: Compute
) -> tuple[Tensor, Tokens] | None:
    """Latents and captions of the val split's first clips; None if it is empty."""
    if not any((dataset / "val").glob("*.png")):
        return None
    images, captions, _ = load_images_and_captions(dataset, "val")
    latents = encode_latents(vae, images[:VALIDATION_CLIPS], compute)
    return latents, tokenize(captions[:VALIDATION_CLIPS], NANO.te1.vocab_size)


def _check_steps(
    start: Path | None, vae_steps: int, text_steps: int, unet_steps: int, decoder_only: bool
) -> None:
    """Raise PresetError if a network would stay random, or get inputs it was not trained on."""
    if start is None and (decoder_only or not min(vae_steps, text_steps, unet_steps)):
        what = "--decoder-only" if decoder_only else "0 steps"
        raise PresetError(f"{what} would keep random weights; name a checkpoint with --from")
    if not unet_steps and (text_steps or (vae_steps and not decoder_only)):
        raise PresetError(
            "0 UNet steps would keep a UNet trained on other latents or texts; give it steps, or "
            "--text-steps 0 and either --vae-steps 0 or --decoder-only"
        )


def read_networks(checkpoint: Path) -> tuple[Any, Any, Any, Any]:
    """Load UNet, both text encoders and VAE of a checkpoint with nano's sizes, in float32.

    ModelError for other sizes, and for a UNet that predicts noise.
    """
    shapes = read_architecture(checkpoint)
    if shapes != NANO:
        names = [name for name in vars(NANO) if getattr(shapes, name, None) != getattr(NANO, name)]
        raise ModelError(
            f"{checkpoint}: its {', '.join(names)} differ from nano's; name another file"
        )
    if prediction_type(checkpoint) != "v_prediction":
        raise ModelError(f"{checkpoint}: predicts noise, not v; name a checkpoint of dmm pretrain")
    pipeline = load_pipeline(checkpoint)
    return pipeline.unet, pipeline.text_encoder, pipeline.text_encoder_2, pipeline.vae


def build_four_networks(shapes: SdxlShapes) -> tuple[Any, Any, Any, Any]:
    """Build UNet, both text encoders and VAE of these sizes with random weights."""
    unet, te1, te2, vae = networks.build_networks(shapes).values()
    return unet, te1, te2, vae


def load_images_and_captions(
    dataset: Path, split: str = "train", colours: bool = False
) -> tuple[Tensor, list[str], str]:
    """Read a split: images (n, rows, frames) or (n, rows, frames, 3) uint8, captions, the anchor.

    Images are grey, unless ``colours`` asks for the three channels of stereo audio.
    """
    captions, anchor = load_captions_and_anchor(dataset, split)
    paths = sorted((dataset / split).glob("*.png"))
    images = []
    with progress_bar(f"read {split}", len(paths)) as advance:
        for path in paths:
            images.append(np.asarray(Image.open(path).convert("RGB" if colours else "L")))
            advance()
    return torch.from_numpy(np.stack(images)), captions, anchor


def load_captions_and_anchor(dataset: Path, split: str = "train") -> tuple[list[str], str]:
    """A split's captions in the order of its images, and the anchor."""
    anchor = _read_anchor(dataset)
    images = sorted((dataset / split).glob("*.png"))
    captions = [path.with_suffix(".txt").read_text(encoding="utf-8").strip() for path in images]
    return captions, anchor


def _read_anchor(dataset: Path) -> str:
    anchor = _read_dataset_json(dataset)["options"]["anchor"]
    if not any((dataset / "train").glob("*.png")):
        raise InputError(f"{dataset}: the train split holds no clips; build it from more music")
    return anchor


def _read_dataset_json(dataset: Path) -> dict[str, Any]:
    path = dataset / "dataset.json"
    if not path.is_file():
        raise InputError(f"{dataset}: not a dataset (no dataset.json); make one: dmm data build")
    return read_json(path)


def vary_captions(captions: list[str], anchor: str, seed: int) -> list[str]:
    """Shuffle the parts of captions, drop some, and put the anchor in front of half of them.

    So the model follows prompts in any order and length, with and without the anchor.
    """
    rng = np.random.default_rng(seed)
    varied = []
    for caption in captions:
        parts = [part.strip() for part in caption.split(",")]
        kept = [p for p in rng.permutation(parts) if rng.random() > 0.15] or parts
        varied.append(", ".join([anchor] * int(rng.random() < 0.5) + [str(p) for p in kept]))
    return varied


def tokenize_variants(variants: list[list[str]]) -> Tokens:
    """Token ids (variants, n, 77) of several variants of captions, for both text encoders."""
    first, second = zip(
        *(tokenize(captions, NANO.te1.vocab_size) for captions in variants), strict=True
    )
    return torch.stack(first), torch.stack(second)


def empty_tokens() -> Tokens:
    """Token ids (77) of the empty caption, for both text encoders."""
    first, second = tokenize([""], NANO.te1.vocab_size)
    return first[0], second[0]
