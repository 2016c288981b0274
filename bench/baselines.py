"""Baselines of ``dmm bench minimidi``: rendered pieces, the VAE's round trip, an untrained UNet."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from dataset_tools.sources.minimidi import Piece, render
from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.header import read_metadata
from dmm.checkpoints.networks import mean_latents
from dmm.checkpoints.pipeline import load_pipeline
from dmm.checkpoints.sdxl_layout import save_checkpoint, single_file_tensors
from dmm.codec.decode import decode
from dmm.codec.mel import MelFormat, encode
from dmm.progress import progress_bar
from dmm.sound.audio import read_audio, write_audio


def write_rendered_pieces(pieces: Sequence[Piece], out: Path, sr: int) -> list[Path]:
    """Write pieces as mono FLAC files, in order; files that exist are kept."""
    files = []
    with progress_bar(f"render {out.name}", len(pieces)) as advance:
        for piece in pieces:
            path = out / f"{piece.style.replace(' ', '-')}-{piece.seed}.flac"
            if not path.is_file():
                write_audio(path, render(piece, sr).mean(0, keepdims=True), sr)
            files.append(path)
            advance()
    return files


@torch.no_grad()
def write_vae_round_trips(
    files: Sequence[Path], out: Path, model: Path, fmt: MelFormat
) -> list[Path]:
    """Encode clips as mel images, pass them through the VAE, decode them: the best it can reach."""
    vae = load_pipeline(model).vae
    scale = vae.config.scaling_factor
    restored = []
    with progress_bar("through the VAE", len(files)) as advance:
        for file in files:
            path = out / file.name
            if not path.is_file():
                image = encode(read_audio(file, fmt.sr, 1)[:, : fmt.clip_samples], fmt)
                pixels = torch.from_numpy(image / np.float32(127.5) - 1).expand(1, 3, -1, -1)
                picture = vae.decode(mean_latents(vae, pixels) / scale).sample[0].mean(0)
                levels = ((picture.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()
                write_audio(path, decode(levels, fmt), fmt.sr)
            restored.append(path)
            advance()
    return restored


def write_untrained_model(model: Path, out: Path) -> Path:
    """Write the checkpoint with random UNet weights (seed 0); text encoders and VAE are kept."""
    pipeline = load_pipeline(model)
    torch.manual_seed(0)
    unet = type(pipeline.unet).from_config(pipeline.unet.config)
    parts = (unet, pipeline.text_encoder, pipeline.text_encoder_2, pipeline.vae)
    metadata = {k: v for k, v in read_metadata(model).items() if k != "format"}
    tensors = single_file_tensors(*parts, custom=read_architecture(model).custom)
    save_checkpoint(out, tensors, metadata, torch.float16)
    return out
