import json

import numpy as np
import pytest

from dmm.codec.image import write_image
from dmm.codec.mel import load_format
from dmm.sound.audio import write_audio
from dmm.ui.model_library import find_models
from dmm.ui.server import open_purged_workspace

FACTS = {"steps": 4, "guidance": 5.0, "sampler": "euler", "negative_prompt": "", "format": "nano"}


@pytest.fixture
def put_clip():
    """``put_clip(folder, prompt, seed)``: a clip of nano's format, of random noise."""
    fmt = load_format("nano")

    def put(folder, prompt, seed):
        clip_id = f"{prompt.replace(' ', '-')}-{seed}"
        levels = np.random.default_rng(seed).integers(0, 200, (fmt.n_mels, fmt.n_frames), np.uint8)
        write_image(folder / f"{clip_id}.png", levels, fmt)
        noise = np.random.default_rng(seed).normal(0, 0.1, (1, fmt.clip_samples))
        write_audio(folder / f"{clip_id}.flac", noise.astype(np.float32), fmt.sr)
        facts = {"prompt": prompt, "seed": seed, **FACTS}
        (folder / f"{clip_id}.json").write_text(json.dumps(facts))
        return clip_id

    return put


@pytest.fixture
def workspace(tiny_checkpoint, tmp_path):
    """A workspace with an empty CLIPS folder and a model of random weights."""
    workspace = open_purged_workspace(find_models([tiny_checkpoint]), tmp_path / "clips", "cpu")
    (tmp_path / "clips").mkdir()
    yield workspace
    workspace.jobs.cancel()
    workspace.jobs.wait(30.0)
