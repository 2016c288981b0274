import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import toml
from PIL import Image

from dmm.checkpoints.architecture import read_architecture
from dmm.checkpoints.tokenizers import ensure_tokenizer_folder

DEFAULTS = {
    "network_module": "networks.lora", "network_dim": 2, "network_alpha": 2,
    "network_train_unet_only": True, "optimizer_type": "AdamW", "learning_rate": 1e-2,
    "lr_scheduler": "cosine", "lr_warmup_steps": 1, "loss_type": "huber",
    "huber_schedule": "constant", "huber_start": 0.15, "cache_latents": True,
    "no_half_vae": True, "max_data_loader_n_workers": 0, "save_precision": "float",
    "seed": 3, "train_batch_size": 1, "mixed_precision": "no", "sdpa": True,
    "v_parameterization": True, "save_model_as": "safetensors", "output_name": "lora",
    "log_with": "tensorboard", "highvram": True,
}  # fmt: skip
STRATEGIES = (
    "TokenizeStrategy", "TextEncodingStrategy", "LatentsCachingStrategy",
    "TextEncoderOutputsCachingStrategy",
)  # fmt: skip


@pytest.fixture(scope="session")
def inside_engine(engine):
    """Make sd-scripts' modules importable, as they are in the trainer's own process."""
    sys.path.insert(0, str(engine))
    yield engine
    sys.path.remove(str(engine))


@pytest.fixture(autouse=True)
def same_targets():
    """The engine appends to a list of its class when a LoRA has convolutions: put it back."""
    yield
    if lora := sys.modules.get("networks.lora"):
        lora.LoRANetwork.UNET_TARGET_REPLACE_MODULE = ["Transformer2DModel"]


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """Images of 64 x 64: five to train on, two to regularise with, three to validate on."""
    root, rng = tmp_path_factory.mktemp("small"), np.random.default_rng(0)
    for folder, count in (("train", 5), ("reg", 2), ("val", 3)):
        (root / folder).mkdir()
        for i in range(count):
            pixels = rng.integers(0, 256, (64, 64), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"{folder}-{i}.png")
            (root / folder / f"{folder}-{i}.txt").write_text(f"piano, slow, dark, number {i}")
    return root


def write_config(path: Path, data: Path, **train: object) -> None:
    """The engine's dataset configuration, as ``dmm train`` writes it."""

    def subset(folder: str, **settings: object) -> dict:
        return {"image_dir": str(data / folder), "caption_prefix": "mel music |||", **settings}

    shared = {"resolution": 64, "caption_extension": ".txt", "keep_tokens_separator": "|||"}
    training = {**train, "subsets": [subset("train", shuffle_caption=True, num_repeats=1)]}
    training["subsets"].append(subset("reg", is_reg=True))
    validation = {"validation_split": 1.0, "validation_seed": 0, "batch_size": 2}
    config = {
        "general": shared,
        "datasets": [training, validation | {"subsets": [subset("val")]}],
    }
    path.write_text(toml.dumps(config))


def write_run(out: Path, data: Path, base: Path, **settings: object) -> Path:
    """A RUN folder as ``dmm train`` prepares it; returns the engine's configuration."""
    out.mkdir(parents=True, exist_ok=True)
    values = {
        **DEFAULTS,
        "pretrained_model_name_or_path": str(base),
        "dataset_config": str(out / "dataset.toml"),
        "output_dir": str(out),
        "logging_dir": str(out / "logs"),
        "tokenizer_cache_dir": str(ensure_tokenizer_folder(read_architecture(base).vocab_size)),
        **settings,
    }
    write_config(out / "dataset.toml", data, batch_size=values["train_batch_size"])
    (out / "engine.toml").write_text(toml.dumps(values))
    return out / "engine.toml"


@pytest.fixture(scope="session")
def prepare_run(small_data, tiny_checkpoint):
    """``prepare_run(out, **settings)``: the files alone, for a trainer in another process."""
    return lambda out, **settings: write_run(out, small_data, tiny_checkpoint, **settings)


@pytest.fixture(scope="session")
def train_here(inside_engine, small_data, tiny_checkpoint):
    """``train_here(out, **settings)``: the trainer in this process; returns (code, trainer)."""
    from accelerate.state import AcceleratorState, GradientState, PartialState
    from library import strategy_base, train_util

    from dmm_ext.process import TRAINERS, setup_parser, train_and_record

    def train(out: Path, hook=None, base=tiny_checkpoint, **settings: object):
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()
        for strategy in STRATEGIES:  # the engine sets each once a process
            getattr(strategy_base, strategy)._strategy = None
        config = write_run(out, small_data, base, **settings)
        parser = setup_parser()
        with patch.object(sys, "argv", ["trainer", "--config_file", str(config)]):
            args = train_util.read_config_from_file(parser.parse_args(), parser)
        trainer = TRAINERS[read_architecture(base).kind]()
        if hook:
            hook(trainer)
        return train_and_record(trainer, args), trainer

    return train
