"""Synthesised sound in every container that the folder source reads."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions

CLIP_S = 5.12


def tone(duration_s, sr=22050, channels=1, hz=440.0):
    """Two slow-beating sines, float32 (samples, channels)."""
    t = np.arange(round(duration_s * sr)) / sr
    wave = 0.2 * (np.sin(2 * np.pi * hz * t) + np.sin(2 * np.pi * (1.5 * hz + 1) * t))
    return np.repeat(wave[:, None], channels, axis=1).astype(np.float32)


def write_aac(path: Path, samples, sr):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=sr, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.T.copy(), format="fltp", layout="mono")
        frame.sample_rate = sr
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


@pytest.fixture
def music(tmp_path):
    """Write a file below tmp_path/music: ``music("a/b.wav", 6.0, text="sidecar", sr=8000)``."""
    root = tmp_path / "music"
    root.mkdir()

    def write(name, duration_s=CLIP_S, text=None, **kwargs):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sr = kwargs.get("sr", 22050)
        hz = 200.0 + 10 * len(list(root.rglob("*")))  # no two files alike
        samples = kwargs.get("samples", tone(duration_s, sr, kwargs.get("channels", 1), hz))
        if path.suffix in (".m4a", ".aac"):
            write_aac(path, samples, sr)
        else:
            soundfile.write(path, samples, sr, subtype=kwargs.get("subtype"))
        if text is not None:
            path.with_suffix(".txt").write_text(text, encoding="utf-8")
        return path

    write.root = root
    return write


@pytest.fixture
def build(tmp_path, music):
    """Build ``tmp_path/NAME`` from the music; returns the dataset's folder."""

    def run(name="dataset", *, jobs=1, force=False, reg_input=None, **options):
        out = tmp_path / name
        options = BuildOptions(**{"format": "nano", "vocal_classifier": "none"} | options)
        build_dataset(out, options, input=music.root, reg_input=reg_input, jobs=jobs, force=force)
        return out

    return run


@pytest.fixture
def tree():
    """A folder as a dict of path to bytes."""
    return lambda root: {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(name="tone")
def tone_():
    """``tone(duration_s, sr, channels, hz)``: two slowly beating sines."""
    return tone
