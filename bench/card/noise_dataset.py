"""Write a DATASET of random noise, to time training without real music."""

import json
from pathlib import Path

import numpy as np
import toml

from dmm.codec.image import write_image
from dmm.codec.mel import load_format
from dmm.files import write_text

ANCHOR = "mel spectrogram music"


def write_noise_dataset(folder: Path, format_name: str, clips: int, seed: int = 0) -> Path:
    """Write a training dataset of noise, without a manifest, into ``folder``, which is returned.

    Equal arguments give equal bytes.
    """
    fmt, rng = load_format(format_name), np.random.default_rng(seed)
    for number in range(clips):
        levels = rng.integers(0, 256, (fmt.n_mels, fmt.n_frames), dtype=np.uint8)
        write_image(folder / "train" / f"{number:02}.png", levels, fmt)
        write_text(folder / "train" / f"{number:02}.txt", f"piano, slow, number {number}")
    subset = {"image_dir": "train", "num_repeats": 1, "caption_prefix": f"{ANCHOR} |||"}
    general = {
        "caption_extension": ".txt", "shuffle_caption": True, "keep_tokens_separator": "|||",
    }  # fmt: skip
    entry = {"resolution": [fmt.n_frames, fmt.n_mels], "subsets": [subset]}
    write_text(folder / "dataset.toml", toml.dumps({"general": general, "datasets": [entry]}))
    built = {"format": fmt.model_dump(mode="json"), "options": {"anchor": ANCHOR}}
    write_text(folder / "dataset.json", json.dumps(built))
    return folder
