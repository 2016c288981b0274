"""Speed, quality and memory of decoding long mel images: ``python benchmarks/inversion.py FILES``.

Prints one Markdown row (``--header`` prints the table's header too) for the first seconds of each
file: CPU time on one thread relative to real time (median and range); its ratio to decoding with
the initial phase computed at once instead of in chunks; spectral convergence of STFT magnitudes,
||X - Y|| / ||X||, of both; and numpy's peak memory for a quarter of the image and for all of it,
without the image.
"""

import argparse
import os
import time
import tracemalloc
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np
from provenance import provenance

import dmm.codec.decode
from dmm.codec.decode import decode, stream_decode
from dmm.codec.mel import MelFormat, encode, load_format, stft
from dmm.sound.audio import read_audio

HEADER = (
    "| date | commit | machine | format | channels | pieces | x real time | chunks / at once"
    " | SC in chunks | SC at once | peak MB, 1x and 4x |\n|" + "---|" * 11
)


def convergence(original: np.ndarray, restored: np.ndarray, fmt: MelFormat) -> float:
    """Spectral convergence ||X - Y|| / ||X|| of the magnitudes of all channels."""
    x, y = (np.stack([np.abs(stft(z, fmt)) for z in sound]) for sound in (original, restored))
    return float(np.linalg.norm(x - y) / np.linalg.norm(x))


def timed(image: np.ndarray, fmt: MelFormat, chunk: int) -> tuple[np.ndarray, float]:
    """Decode with chunks of this many frames; returns the audio and the CPU seconds."""
    default, dmm.codec.decode.CHUNK = dmm.codec.decode.CHUNK, chunk
    start = time.process_time()
    sound = decode(image, fmt)
    dmm.codec.decode.CHUNK = default
    return sound, time.process_time() - start


def peak_mb(image: np.ndarray, fmt: MelFormat) -> float:
    """Peak memory of numpy while the image is decoded and its audio is discarded."""
    tracemalloc.start()
    for _ in stream_decode(image, fmt, "fast"):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def main() -> None:
    """Warm up, measure every file, print the row."""
    parser = argparse.ArgumentParser(description="Decoding of long mel images.")
    parser.add_argument("audio", nargs="+", type=Path)
    parser.add_argument("--format", default="sdxl-512")
    parser.add_argument("--stereo", action="store_true")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--header", action="store_true")
    options = parser.parse_args()
    fmt, channels = load_format(options.format), 2 if options.stereo else 1
    n_samples = int(options.seconds * fmt.sr / fmt.hop_length) * fmt.hop_length
    rows = []
    for path in options.audio:
        sound = read_audio(path, fmt.sr, channels)[:, :n_samples]
        sound = sound[:, : sound.shape[1] // fmt.hop_length * fmt.hop_length]
        image = encode(sound, fmt)
        timed(image[:, :200], fmt, dmm.codec.decode.CHUNK)  # warm
        in_chunks, chunks_s = timed(image, fmt, dmm.codec.decode.CHUNK)
        at_once, once_s = timed(image, fmt, image.shape[1])
        likeness = [convergence(sound, other, fmt) for other in (in_chunks, at_once)]
        rows.append((chunks_s * fmt.sr / sound.shape[1], chunks_s / once_s, *likeness))
    speed, ratio, sc_chunks, sc_once = np.array(rows).T
    quarter = image[:, : image.shape[1] // 4]
    memory = [peak_mb(x, fmt) for x in (quarter, image)]
    if options.header:
        print(HEADER)
    cells = (
        *provenance("1 thread"),
        fmt.name,
        str(channels),
        f"{len(rows)} of {options.seconds:g} s",
        f"{np.median(speed):.3f} ({speed.min():.3f}-{speed.max():.3f})",
        f"{np.median(ratio):.2f} ({ratio.min():.2f}-{ratio.max():.2f})",
        f"{sc_chunks.mean():.4f}",
        f"{sc_once.mean():.4f}",
        f"{memory[0]:.0f}, {memory[1]:.0f}",
    )
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
