"""Speed and quality of the mel-image codec on real music: ``python benchmarks/codec.py AUDIO...``.

Prints one Markdown row (``--header`` prints the table's header too): date, commit, machine,
format, clips; median CPU milliseconds on one thread after a warm-up; speed of decoding relative to
Riffusion's patched converter, clip by clip in the same run (median and range); then means over the
clips, after matching the gain:

- SC2048, SC8192: spectral convergence, ||X - Y|| / ||X|| over STFT magnitudes of that window,
- L1 dB: mean level difference up to 10 kHz, with levels at least 80 dB below the loudest cell,

and, without matching the gain, the mean and largest loudness error (BS.1770) and the largest
sample. A clip is the middle of its file; only the first ``--clips`` files are used.
"""

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np
import riffusion
import torch
from provenance import provenance
from scipy import signal

from dmm.codec.decode import decode
from dmm.codec.mel import MelFormat, encode, load_format
from dmm.sound.audio import read_audio
from dmm.sound.loudness import loudness_lufs

HEADER = (
    "| date | commit | machine | format | clips | encode ms | decode ms | x Riffusion | SC2048"
    " | SC8192 | L1 dB | loudness error dB | peak |\n|" + "---|" * 13
)
CEILING_HZ, FLOOR_DB = 10_000, -80


@dataclass(frozen=True)
class Scores:
    """Times and scores of one clip."""

    encode_ms: float
    decode_ms: float
    times_riffusion: float
    sc2048: float
    sc8192: float
    l1_db: float
    loudness_error_db: float
    peak: float


def cpu_ms(function: Callable[[], Any]) -> tuple[Any, float]:
    """A function's result and its CPU time."""
    start = time.process_time()
    result = function()
    return result, (time.process_time() - start) * 1000


def magnitudes(sound: np.ndarray, n_fft: int) -> np.ndarray:
    """STFT magnitudes (bins, frames) with a Hann window and hops of a quarter window."""
    return np.abs(signal.stft(sound, nperseg=n_fft, noverlap=n_fft * 3 // 4, padded=False)[2])


def quality(original: np.ndarray, restored: np.ndarray, sr: int) -> tuple[float, float, float]:
    """SC2048, SC8192 and L1 dB, with the gain that fits the 2048 magnitudes best."""
    x, y = (magnitudes(sound, 2048) for sound in (original, restored))
    gain = (x * y).sum() / (y * y).sum()
    convergence = [
        float(np.linalg.norm(a - gain * b) / np.linalg.norm(a))
        for n in (2048, 8192)
        for a, b in [(magnitudes(original, n), magnitudes(restored, n))]
    ]
    floor = x.max() * 10 ** (FLOOR_DB / 20)
    levels = [20 * np.log10(np.maximum(z, floor)) for z in (x, gain * y)]
    top = int(CEILING_HZ / sr * 2048) + 1
    return convergence[0], convergence[1], float(np.abs(levels[0] - levels[1])[:top].mean())


def measure(clip: np.ndarray, fmt: MelFormat, with_riffusion: bool) -> Scores:
    """Encode and decode one clip (1, samples), then with Riffusion's converter."""
    image, encode_ms = cpu_ms(lambda: encode(clip, fmt))
    restored, decode_ms = cpu_ms(lambda: decode(image, fmt))
    times = float("nan")
    if with_riffusion:
        theirs = riffusion.encode(torch.from_numpy(clip[0]))
        times = cpu_ms(lambda: riffusion.decode(theirs))[1] / decode_ms
    error_db = loudness_lufs(restored, fmt.sr) - loudness_lufs(clip, fmt.sr)
    peak = float(np.abs(restored).max())
    scores = quality(clip[0], restored[0], fmt.sr)
    return Scores(encode_ms, decode_ms, times, *scores, error_db, peak)


def middle_clip(path: Path, fmt: MelFormat) -> np.ndarray | None:
    """The middle of a file; None if it is too short or nearly silent."""
    sound = read_audio(path, fmt.sr, 1)
    start = (sound.shape[1] - fmt.clip_samples) // 2
    clip = sound[:, max(start, 0) :][:, : fmt.clip_samples]
    return clip if start >= 0 and clip.std() > 1e-3 else None


def row(scores: list[Scores], fmt: MelFormat) -> str:
    """The Markdown row."""
    table = {name: np.array([getattr(s, name) for s in scores]) for name in vars(scores[0])}
    mean = {name: values.mean() for name, values in table.items()}
    times, error_db = table["times_riffusion"], np.abs(table["loudness_error_db"])
    cells = (
        *provenance("1 thread"),
        fmt.name,
        str(len(scores)),
        f"{np.median(table['encode_ms']):.1f}",
        f"{np.median(table['decode_ms']):.0f}",
        f"{np.median(times):.1f} ({times.min():.1f}-{times.max():.1f})",
        f"{mean['sc2048']:.3f}",
        f"{mean['sc8192']:.3f}",
        f"{mean['l1_db']:.2f}",
        f"{error_db.mean():.3f} (max {error_db.max():.3f})",
        f"{table['peak'].max():.4f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Warm up on the first clip, measure all, print the row."""
    parser = argparse.ArgumentParser(description="Speed and quality of the mel-image codec.")
    parser.add_argument("audio", nargs="+", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--format", default="sdxl-512")
    parser.add_argument("--header", action="store_true")
    parser.add_argument("--no-riffusion", action="store_true", help="skip Riffusion's slow decoder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    fmt = load_format(options.format)
    found = (clip for path in options.audio if (clip := middle_clip(path, fmt)) is not None)
    clips = [clip for _, clip in zip(range(options.clips), found, strict=False)]
    measure(clips[0], fmt, with_riffusion=False)
    if options.header:
        print(HEADER)
    print(row([measure(clip, fmt, not options.no_riffusion) for clip in clips], fmt))


if __name__ == "__main__":
    main()
