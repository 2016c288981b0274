"""Synthesised clips and a fake embedder: no network, no weights, a cache that is thrown away."""

import json
import shutil
import socket
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dmm.registry import load_embedder

SR = 22050
DURATION_S = 1.0
TINY_AUDIO = {
    "hidden_size": 16,
    "patch_embeds_hidden_size": 8,
    "depths": [1, 1],
    "num_attention_heads": [1, 2],
    "num_hidden_layers": 2,
    "num_mel_bins": 64,
    "spec_size": 256,
    "window_size": 8,
    "enable_fusion": False,
}
TINY_TEXT = {
    "vocab_size": 30,
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "max_position_embeddings": 80,
}


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DMM_CACHE", str(tmp_path / "cache"))


def _tone(hz: float, gain: float = 0.3) -> np.ndarray:
    t = np.arange(int(SR * DURATION_S)) / SR
    return (gain * sum(np.sin(2 * np.pi * k * hz * t) / k for k in (1, 2, 3))).astype(np.float32)


def _pulses(rate_hz: float, seed: int = 0) -> np.ndarray:
    t = np.arange(int(SR * DURATION_S)) / SR
    noise = np.random.default_rng(seed).normal(size=len(t))
    return (0.2 * noise * np.exp(-20 * (t % (1 / rate_hz)))).clip(-1, 1).astype(np.float32)


def _write_clips(folder: Path, sounds: list[np.ndarray], prompt: str | None = "a tone") -> Path:
    """A folder as ``dmm generate`` leaves it, two seeds a prompt; bare sound if prompt is None."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, sound in enumerate(sounds):
        soundfile.write(folder / f"clip-{seed}.flac", sound, SR)
        if prompt is not None:
            known = {"prompt": f"{prompt} {seed // 2}", "seed": seed}
            (folder / f"clip-{seed}.json").write_text(json.dumps(known), encoding="utf-8")
    return folder


@pytest.fixture
def tone():
    return _tone


@pytest.fixture
def pulses():
    return _pulses


@pytest.fixture
def write_clips():
    return _write_clips


@pytest.fixture
def clips(tmp_path):
    return _write_clips(tmp_path / "clips", [_tone(hz) for hz in (220, 247, 277, 294, 330, 370)])


@pytest.fixture
def dataset(tmp_path):
    root = tmp_path / "dataset"
    tones = [_tone(hz) for hz in (210, 233, 262, 311, 349, 392, 415)]
    _write_clips(root / "test", [*tones, _pulses(4)], prompt=None)
    (root / "test" / "clip-0.txt").write_text("real tone", encoding="utf-8")
    (root / "manifest.parquet").write_bytes(b"")
    return root


class Reader:
    """mel-stats with random but repeatable text rows; remembers the files that it embedded."""

    name = "reader"
    protocol = "mel-stats and random text rows"

    def __init__(self) -> None:
        self.audio = load_embedder("mel-stats")
        self.identity = replace(self.audio.identity, name=self.name)
        self.version, self.dim, self.logit_scale = self.identity.version, self.audio.dim, 1.0
        self.embedded: list[Path] = []

    def embed(self, audio_files: Sequence[Path]) -> np.ndarray:
        self.embedded += audio_files
        return self.audio.embed(audio_files)

    def embed_sounds(self, sounds: np.ndarray, sr: int) -> np.ndarray:
        raise NotImplementedError

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(text.encode())).normal(size=self.dim) for text in texts]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture(scope="session")
def made_clap(tmp_path_factory):
    """A CLAP of a few kB as save_pretrained writes it; random weights, equal in all versions."""
    import torch
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    folder = tmp_path_factory.mktemp("clap")
    with torch.random.fork_rng():
        config = ClapConfig(text_config=TINY_TEXT, audio_config=TINY_AUDIO, projection_dim=16)
        model = ClapModel(config)
    for name, parameter in model.named_parameters():
        if parameter.ndim:  # the scales of logits stay
            own = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            torch.nn.init.normal_(parameter, float("norm" in name.lower()), 0.3, generator=own)
    model.save_pretrained(folder)
    ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc").save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_clap(made_clap, tmp_path):
    """A copy of the tiny checkpoint that a test may change."""
    return shutil.copytree(made_clap, tmp_path / "clap")


@pytest.fixture
def reading_clap(tiny_clap):
    """The same with a tokeniser of seven words, split at spaces."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<unk>", "a", "flute", "song", "slow", "fast"]
    model = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    model.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", unk_token="<unk>", model_max_length=512
    ).save_pretrained(tiny_clap)
    return tiny_clap


@pytest.fixture
def no_network(monkeypatch):
    """Any look-up or connection fails the test."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"the network was asked: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
