"""Latents cached on disk belong to one VAE, which sd-scripts' files do not name.

So a dataset with such files records the VAE in ``latents.json``. Without it, training on a base
with another VAE would go on with the old latents, and learn noise.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ..checkpoints.header import read_metadata
from ..checkpoints.lora import LATENTS
from ..checkpoints.network_shapes import VAE
from ..checkpoints.tensorfile import open_tensors
from ..errors import InputError
from ..files import read_json, write_text

RECORD = "latents.json"
CACHED = "*/*.npz"


def record_latent_vae(dataset: Path, base: Path) -> None:
    """Write the base's VAE to ``latents.json``; InputError if latents of another are cached.

    Latents of an unknown VAE are refused too if the base's metadata name its latents.
    """
    ours: dict[str, Any] = {"base": base.name, "vae": vae_identity(base)}
    path = dataset / RECORD
    if any(dataset.glob(CACHED)):
        theirs = read_json(path, dict[str, str]) if path.is_file() else None
        is_known = theirs is not None or LATENTS not in read_metadata(base)
        if not is_known or (theirs and theirs.get("vae") != ours["vae"]):
            of = f"of {theirs.get('base', 'an unknown base')}" if theirs else "of an unknown base"
            raise InputError(
                f"{dataset}: holds cached latents {of}, which do not fit {base}; remove "
                f"{CACHED} there, so that they are made again"
            )
    write_text(path, json.dumps(ours, indent=2) + "\n")


def vae_identity(base: Path) -> str:
    """Name of its latents in a checkpoint's metadata, else a hash of its VAE's encoder."""
    if stated := read_metadata(base).get(LATENTS):
        return stated
    digest = hashlib.sha256()
    encoder = (f"{VAE}encoder.", f"{VAE}quant_conv.")
    with open_tensors(base) as file:
        for name in sorted(name for name in file.specs if name.startswith(encoder)):
            digest.update(file.read(name).half().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
