"""Synthesised clips and a fake embedder: no network, no weights, a cache that is thrown away."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

SR = 22050
DURATION_S = 1.0


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
