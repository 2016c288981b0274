import json

import numpy as np
import pytest
import toml

from dmm.codec.image import write_image
from dmm.codec.mel import load_format


@pytest.fixture
def dataset(tmp_path):
    """A DATASET of three clips to train on and two to validate with."""
    root = tmp_path / "music"
    for split, count in (("train", 3), ("val", 2)):
        for i in range(count):
            write_image(
                root / split / f"{i}.png", np.zeros((256, 256), np.uint8), load_format("nano")
            )
    subset = {"image_dir": "train", "num_repeats": 1, "caption_prefix": "mel music |||"}
    config = {"general": {"shuffle_caption": True}, "datasets": [{"resolution": [256, 256]}]}
    config["datasets"][0]["subsets"] = [subset]
    (root / "dataset.toml").write_text(toml.dumps(config))
    built = {"format": {"name": "nano"}, "options": {"anchor": "mel music"}, "content_sha256": "c"}
    (root / "dataset.json").write_text(json.dumps(built))
    return root
