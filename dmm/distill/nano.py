"""nano: an SDXL-architecture model small enough to commit, trained from scratch on a dataset.

``dmm pretrain DATASET --out nano.safetensors``. The VAE learns pictures, the text encoders learn
words, then the UNet learns both; each stage keeps its state beside the output and goes on from
it when run again.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..progress import progress_bar
from ..sdxl_layout import save_checkpoint, single_file_tensors
from ..sdxl_shapes import SIZE_EMBEDDING, SdxlShapes, TextEncoderShapes
from .diffusion import train_unet
from .loop import Schedule
from .text import tokenize, train_text_encoders
from .vae import encode_latents, train_vae

_TE1 = TextEncoderShapes(vocab_size=1024, hidden_size=64, intermediate_size=64, num_layers=12)
_TE2 = TextEncoderShapes(vocab_size=1024, hidden_size=128, intermediate_size=256, num_layers=2)
NANO = SdxlShapes(
    latent_channels=8,
    model_channels=32,
    time_embed_dim=128,
    adm_channels=_TE2.hidden_size + SIZE_EMBEDDING,
    context_dim=_TE1.hidden_size + _TE2.hidden_size,
    depths=(1, 0),
    te1=_TE1,
    te2=_TE2,
    vae_channels=(32, 32, 64, 64),
    vae_layers=1,
)
"""As narrow as GroupNorm's 32 groups and CLIP's 64-wide heads allow."""

CAPTION_VARIANTS = 4


def pretrain(
    dataset: Path,
    out: Path,
    extra: Path | None = None,
    vae_steps: int = 1000,
    text_steps: int = 600,
    unet_steps: int = 3000,
    seed: int = 0,
) -> Path:
    """Train all four networks on a DATASET's train split and write one checkpoint.

    ``extra`` is a second DATASET that only the VAE sees, so that a LoRA can later teach the UNet
    sounds that the VAE can draw. InputError if a folder holds no images.
    """
    torch.manual_seed(seed)
    images, captions, anchor = load_images(dataset)
    pictures = torch.cat([images, load_images(extra)[0]]) if extra else images
    unet, te1, te2, vae = build(NANO)
    state = out.with_suffix(".state")
    vae = train_vae(vae, pictures, Schedule(vae_steps, 4, 2e-3), state / "vae.pt", seed)
    wordings = [vary(captions, anchor, seed + i) for i in range(CAPTION_VARIANTS)]
    every_wording = [caption for wording in wordings for caption in wording]
    encoders = train_text_encoders(
        te1, te2, every_wording, Schedule(text_steps, 64, 2e-3), state / "text.pt", seed
    )
    tokens = [tokenize(wording, NANO.te1.vocab_size) for wording in wordings]
    empty = tokenize([""], NANO.te1.vocab_size)
    unet = train_unet(
        unet,
        encode_latents(vae, images),
        encoders,
        (torch.stack([t[0] for t in tokens]), torch.stack([t[1] for t in tokens])),
        (empty[0][0], empty[1][0]),
        Schedule(unet_steps, 32, 1.5e-3, warmup=100, ema_decay=0.999),
        state / "unet.pt",
        seed,
    )
    tensors = single_file_tensors(unet, encoders.te1, encoders.te2, vae)
    metadata = {"modelspec.prediction_type": "v", "dmm_format": "nano"}
    save_checkpoint(out, tensors, metadata, torch.float16)
    return out


def build(shapes: SdxlShapes) -> tuple[Any, Any, Any, Any]:
    """UNet, both text encoders and VAE of these sizes with fresh weights."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    return (
        UNet2DConditionModel(**shapes.unet_config()),
        CLIPTextModel(CLIPTextConfig(**shapes.te1.config(hidden_act="quick_gelu"))),
        CLIPTextModelWithProjection(CLIPTextConfig(**shapes.te2.config(hidden_act="gelu"))),
        AutoencoderKL(**shapes.vae_config()),
    )


def load_images(dataset: Path) -> tuple[Tensor, list[str], str]:
    """The train split's grey images (n, rows, frames) uint8, captions, and the anchor."""
    from ..train import dataset_facts

    anchor = dataset_facts(dataset)["options"]["anchor"]
    paths = sorted((dataset / "train").glob("*.png"))
    images, captions = [], []
    with progress_bar("read", len(paths)) as advance:
        for path in paths:
            images.append(np.asarray(Image.open(path).convert("L")))
            captions.append(path.with_suffix(".txt").read_text(encoding="utf-8").strip())
            advance()
    return torch.from_numpy(np.stack(images)), captions, anchor


def vary(captions: list[str], anchor: str, seed: int) -> list[str]:
    """Captions with their parts shuffled, some left out, and half of them behind the anchor.

    So the model obeys prompts in any order and length, with and without the anchor.
    """
    rng = np.random.default_rng(seed)
    varied = []
    for caption in captions:
        parts = [part.strip() for part in caption.split(",")]
        kept = [p for p in rng.permutation(parts) if rng.random() > 0.15] or parts
        varied.append(", ".join([anchor] * int(rng.random() < 0.5) + [str(p) for p in kept]))
    return varied
