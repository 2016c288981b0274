"""nano's VAE compared with a linear PCA of equal latent size: ``python benchmarks/vae.py``.

The PCA maps each 8 x 8 patch to as many numbers as the VAE has latent channels. It is fitted
separately for base and for held-out styles on training clips of the same kind, which favours it
over the one VAE. Both reconstruct the same unseen clips; PSNR is computed per clip on levels
clamped to 0..1. Prints the table's header and one Markdown row per kind: date, commit, machine,
clips, mean and worst PSNR of both, the mean difference with its standard error, and the number of
clips for which the VAE is better.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np
import torch
from provenance import provenance
from torch import Tensor
from torch.nn import functional as F

from dataset_tools.sources.minimidi import BASE_STYLES, HELD_OUT_STYLES, compose, render
from dmm.checkpoints.pipeline import load_pipeline
from dmm.codec.mel import encode, load_format
from dmm.pretraining.vae import clip_psnr, reconstruct

PATCH = 8
UNSEEN_SEED = 2_000_000
"""Seeds of unseen clips; training sets start at 0 or 500,000."""
NANO = Path(__file__).parents[1] / "models" / "nano" / "nano.safetensors"
HEADER = (
    "| date | commit | machine | styles | fitted on | unseen | VAE dB (worst) | PCA dB (worst)"
    " | VAE - PCA dB | VAE better |\n|" + "---|" * 10
)


def mel_images(styles: Sequence[str], seed: int, count: int) -> Tensor:
    """Images (n, rows, frames) uint8 of pieces as in ``dmm data build``, with styles in turn."""
    fmt = load_format("nano")
    images = []
    for index in range(count):
        piece = compose(seed + index, styles[index % len(styles)], fmt.clip_duration_s)
        sound = render(piece, fmt.sr).mean(0, keepdims=True)
        images.append(encode(sound, fmt).copy())
    return torch.from_numpy(np.stack(images))


def patches(images: Tensor) -> Tensor:
    """Every 8 x 8 patch as a row of 64 levels in 0..1: (n, patches, 64)."""
    return F.unfold(images[:, None].float() / 255, PATCH, stride=PATCH).transpose(1, 2)


class Pca:
    """Least-squares linear code of ``size`` numbers per patch."""

    def __init__(self, images: Tensor, size: int) -> None:
        rows = patches(images).flatten(0, 1).double()
        self.mean = rows.mean(0)
        self.axes = torch.linalg.eigh(torch.cov(rows.T)).eigenvectors[:, -size:]

    def reconstruct(self, images: Tensor) -> Tensor:
        """Encode and decode images (n, rows, frames): 0..1 except for overshoot."""
        centred = patches(images).double() - self.mean
        restored = (centred @ self.axes) @ self.axes.T + self.mean
        return F.fold(restored.transpose(1, 2), images.shape[1:], PATCH, stride=PATCH)[:, 0]


def row(kind: str, fitted_on: int, vae_db: np.ndarray, pca_db: np.ndarray) -> str:
    """The Markdown row of one kind of clips."""
    gain = vae_db - pca_db
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    cells = (
        *provenance("1 thread"),
        kind,
        str(fitted_on),
        str(len(gain)),
        f"{vae_db.mean():.2f} ({vae_db.min():.2f})",
        f"{pca_db.mean():.2f} ({pca_db.min():.2f})",
        f"{gain.mean():+.2f} ± {error:.2f}",
        f"{(gain > 0).sum()} of {len(gain)}",
    )
    return f"| {' | '.join(cells)} |"


def compare(vae: Any, kind: str, styles: Sequence[str], seed: int, train: int, test: int) -> str:
    """Fit the PCA on clips from ``seed`` on, reconstruct unseen ones by both, return the row."""
    pca = Pca(mel_images(styles, seed, train), vae.config.latent_channels)
    unseen = mel_images(styles, UNSEEN_SEED, test)
    truth = unseen.float() / 255
    vae_db = clip_psnr(reconstruct(vae, unseen), truth)
    pca_db = clip_psnr(pca.reconstruct(unseen), truth)
    return row(kind, train, vae_db.numpy(), pca_db.numpy())


def main() -> None:
    """Compare on base and on held-out styles."""
    parser = argparse.ArgumentParser(
        description="The VAE compared with a linear PCA of equal size."
    )
    parser.add_argument("checkpoint", nargs="?", type=Path, default=NANO)
    parser.add_argument("--train", type=int, default=300, help="clips for the fit of the PCA")
    parser.add_argument("--test", type=int, default=100, help="unseen clips")
    options = parser.parse_args()
    torch.set_num_threads(1)
    vae = load_pipeline(options.checkpoint).vae
    print(HEADER)
    for kind, styles, seed in (
        ("base", BASE_STYLES, 0),
        ("held-out", HELD_OUT_STYLES, 500_000),
    ):
        print(compare(vae, kind, styles, seed, options.train, options.test), flush=True)


if __name__ == "__main__":
    main()
