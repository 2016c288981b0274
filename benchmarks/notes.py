"""Clear notes and their scale: ``python benchmarks/notes.py bench-nano/known-pairs``.

basic-pitch (Bittner et al. 2022, https://arxiv.org/abs/2203.09893) transcribes music of any kind
and was not trained here. pip fetches its wheel (version 0.4.0, Apache-2.0) into a temporary folder,
and onnxruntime runs the model in it. The argument is a folder of clips that ``dmm bench minimidi``
has written: real clips, the same after the VAE, the model's, and those with a LoRA if there is one.

Prints the head of a table and a Markdown row for each of them: date, commit, machine, clips, note
frames per clip (86 per second; a note counts from a probability of .5), their ratio to real clips,
and the share of note time on the best diatonic scale of each clip, with the standard error over
clips.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import onnxruntime
from jaxtyping import Float, Int
from provenance import provenance

from dmm.sound.audio import read_audio

WHEEL, MODEL = "basic-pitch==0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx"
SR, HOP = 22050, 256
WINDOW, OVERLAP = 2 * SR - HOP, 30
"""Samples in a window of the model; frames that two windows share."""
FRAMES_PER_S = SR // HOP
CLEAR = 0.5
LOWEST_CLASS = 9
"""Pitch class of the piano's lowest key, A0."""
SCALE = (0, 2, 4, 5, 7, 9, 11)
FOLDERS = {
    "real": "real clips",
    "vae": "real clips after the VAE",
    "model": "model",
    "lora": "model with LoRA",
}
HEADER = (
    "| date | commit | machine | clips of | clips | note frames | of real | on scale |\n"
    + "|---" * 8
    + "|"
)


def load_model(folder: Path) -> Any:
    """Fetch basic-pitch's ONNX model into ``folder`` and load it."""
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        pip = [shutil.which("pip") or "pip"]  # an environment that uv made has none of its own
    subprocess.run([*pip, "download", "-q", "--no-deps", "-d", str(folder), WHEEL], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        model = wheel.read(MODEL)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def note_frames(model: Any, sound: Float[np.ndarray, " samples"]) -> Int[np.ndarray, "12"]:
    """Frames with a clear note of each pitch class, from C."""
    frames = len(sound) * FRAMES_PER_S // SR
    probabilities = np.concatenate(list(_windows(model, sound)))[:frames]
    of_keys = (probabilities >= CLEAR).sum(0)
    classes = (np.arange(len(of_keys)) + LOWEST_CLASS) % 12
    return np.bincount(classes, of_keys, 12).astype(int)


def _windows(
    model: Any, sound: Float[np.ndarray, " samples"]
) -> Iterator[Float[np.ndarray, "frames 88"]]:
    """Note probabilities of each window, cut by half an overlap at its ends as by basic-pitch."""
    padded = np.pad(sound.astype(np.float32), (OVERLAP * HOP // 2, WINDOW))
    for start in range(0, len(sound) + OVERLAP * HOP // 2, WINDOW - OVERLAP * HOP):
        window = padded[None, start : start + WINDOW, None]
        found = model.run(["StatefulPartitionedCall:1"], {"serving_default_input_2:0": window})
        yield found[0][0, OVERLAP // 2 : -(OVERLAP // 2)]


def on_scale(classes: Int[np.ndarray, "12"]) -> float:
    """Largest share of frames on one of the twelve diatonic scales.

    >>> on_scale(np.array([3, 1, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]))
    0.8571428571428571
    """
    scales = (classes[[(tonic + step) % 12 for step in SCALE]].sum() for tonic in range(12))
    return float(max(scales) / classes.sum())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path)
    parser.add_argument("--clips", type=int, default=80, help="of each folder, evenly chosen")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(Path(folder))
    print(HEADER)
    of_real = None
    for name, title in FOLDERS.items():
        files = sorted((arguments.bench / name).glob("*.flac"))
        if not files:
            continue
        chosen = files[:: max(1, len(files) // arguments.clips)][: arguments.clips]
        counts = [note_frames(model, read_audio(file, SR, 1)[0]) for file in chosen]
        mean = float(np.mean([count.sum() for count in counts]))
        of_real = of_real or mean
        shares = [on_scale(count) for count in counts if count.sum()]
        error = np.std(shares) / np.sqrt(len(shares))
        cells = (*provenance("1 thread"), title, len(chosen), f"{mean:.0f}")
        scale = f"{np.mean(shares):.3f} ± {error:.3f}"
        print(f"| {' | '.join(map(str, cells))} | {mean / of_real:.2f} | {scale} |")


if __name__ == "__main__":
    main()
