"""How much joints stand out, and what joint diffusion costs: ``python benchmarks/seams.py MODEL``.

For every prompt one piece is drawn jointly, and as many clips as it has windows are drawn apart and
joined in three ways: crossfaded as sound over 0.2 s, as Riffusion does; averaged as pictures over a
quarter of a clip; and by ``dmm stitch``. All pieces are scored from their sound, encoded anew.
Prints one Markdown row a method (``--header`` prints the head, too): mean size of the seam score z
over the pieces and its largest, and the means of flux, level and mel distance, 0 being a place like
any other. A row ``chance`` scores the joint pieces at places drawn at random, between their joints.

The last two columns are CPU time on one thread: drawing jointly over drawing the windows apart, and
times real time of one inversion of the whole piece.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np
import torch
from provenance import provenance

from dmm.codec.decode import decode
from dmm.codec.mel import MelFormat, encode
from dmm.generation.callbacks import Callbacks
from dmm.generation.loaded_model import LoadedModel
from dmm.generation.requests import ClipRequest
from dmm.generation.sampling import Sampling
from dmm.generation.settings import GenerationSettings, resolve_settings
from dmm.songs.layout import SongLayout, SongOptions, lay_out_song
from dmm.songs.song import generate_song_image
from dmm.songs.song_files import Song, Span, score_seams
from dmm.songs.stitch import FinishedClip, StitchOptions, lay_out_clips, render
from dmm.songs.timeline import Part, Timeline

HEADER = (
    "| date | commit | machine | model | pieces | method | mean z size (largest) | flux | level"
    " | distance | joint / apart | inversion |\n|" + "---|" * 12
)
PROMPTS = (
    "jazz, piano and double bass, acoustic drums, mellow, slow",
    "rock, electric guitar and bass guitar, drums, energetic, fast",
    "ambient, synth pad and electric piano, dreamy, slow",
    "folk, flute and nylon guitar, gentle",
    "dance, synth lead and synth bass, drum machine, dark, fast",
    "lo-fi, piano, mellow",
)
CROSSFADE_S = 0.2
"""Riffusion's, of sound."""


@dataclass
class Found:
    """Scores of a method, a piece each."""

    scores: list[dict[str, Any]] = field(default_factory=list)

    def cells(self) -> list[str]:
        """The middle of a row."""
        sizes = np.abs([score["z"] for score in self.scores])
        means = [
            np.mean([score[name] for score in self.scores])
            for name in ("flux", "level", "distance")
        ]
        return [f"{sizes.mean():.2f} ({sizes.max():.2f})", *(f"{mean:+.2f}" for mean in means)]


def cpu_s(function: Callable[[], Any]) -> tuple[Any, float]:
    """The result and the CPU time it took."""
    start = time.process_time()
    return function(), time.process_time() - start


def score(sound: np.ndarray, fmt: MelFormat, joints: Sequence[Span]) -> dict[str, Any]:
    """Seam score of mono sound."""
    n_frames = sound.shape[1] // fmt.hop_length
    image = encode(sound[:, : n_frames * fmt.hop_length], fmt)
    return score_seams(Song(image, fmt, (), tuple(joints), {}))


def crossfaded(clips: Sequence[np.ndarray], fmt: MelFormat) -> tuple[np.ndarray, list[Span]]:
    """Each clip inverted, then faded into the next, linearly, as sound."""
    n = round(CROSSFADE_S * fmt.sr / fmt.hop_length)
    rise = np.linspace(0, 1, n * fmt.hop_length, dtype=np.float32)
    sound = decode(clips[0], fmt)
    joints = []
    for clip in clips[1:]:
        following = decode(clip, fmt)
        both = sound[:, -len(rise) :] * (1 - rise) + following[:, : len(rise)] * rise
        start = sound.shape[1] // fmt.hop_length - n
        joints.append((start, start + n))
        sound = np.concatenate([sound[:, : -len(rise)], both, following[:, len(rise) :]], axis=1)
    return sound, joints


def averaged(clips: Sequence[np.ndarray], fmt: MelFormat) -> tuple[np.ndarray, list[Span]]:
    """Pictures laid over each other by a quarter and averaged, then inverted once."""
    width = fmt.n_frames
    step = width * 3 // 4
    total = np.zeros((fmt.n_mels, step * (len(clips) - 1) + width))
    count = np.zeros(total.shape[1])
    for number, clip in enumerate(clips):
        span = slice(number * step, number * step + width)
        total[:, span] += clip
        count[span] += 1
    joints = [(number * step, number * step + width - step) for number in range(1, len(clips))]
    return decode(np.rint(total / count).astype(np.uint8), fmt), joints


def stitched(clips: Sequence[np.ndarray], fmt: MelFormat) -> tuple[np.ndarray, list[Span]]:
    """By ``dmm stitch``."""
    read = [FinishedClip(Path(f"{n}.png"), clip, fmt, "", None) for n, clip in enumerate(clips)]
    layout = lay_out_clips(read, StitchOptions())
    return decode(render(read, layout), fmt), list(layout.joints())


def at_random(layout: SongLayout, seed: int) -> list[Span]:
    """As many places as there are joints, each between two of them."""
    rng = np.random.default_rng(seed)
    joints, _ = layout.joints_and_changes()
    places = []
    for (_, stop), (start, end) in zip(joints, [*joints[1:], joints[-1]], strict=True):
        width = end - start
        if start - width > stop:
            first = int(rng.integers(stop, start - width))
            places.append((first, first + width))
    return places


def apart(
    model: LoadedModel, settings: GenerationSettings, prompt: str, count: int, seed: int
) -> list[np.ndarray]:
    """Clips of their own, as ``dmm generate`` makes them, four at a time."""
    wanted = [ClipRequest(prompt, 1000 * (seed + 1) + number) for number in range(count)]
    return [
        picture.levels
        for start in range(0, count, 4)
        for picture in model.generate_images(wanted[start : start + 4], settings)
    ]


def measure(
    model: LoadedModel, settings: GenerationSettings, part: Part, seed: int, found: dict[str, Found]
) -> tuple[float, float]:
    """Score one piece of every kind; returns joint / apart, and times real time of inversion."""
    fmt = settings.fmt
    layout = lay_out_song(
        Timeline(part=(part,)), SongOptions(seed), fmt, model.pipeline.vae_scale_factor
    )
    n_windows = len(layout.windows.starts)
    (image, _), jointly_s = cpu_s(lambda: generate_song_image(model, settings, layout, Callbacks()))
    clips, apart_s = cpu_s(lambda: apart(model, settings, part.prompt, n_windows, seed))
    sound, inverting_s = cpu_s(lambda: decode(image, fmt))
    pieces = {
        "song": (sound, layout.joints_and_changes()[0]),
        "chance": (sound, at_random(layout, seed)),
        "stitch": stitched(clips, fmt),
        "crossfade": crossfaded(clips, fmt),
        "average": averaged(clips, fmt),
    }
    for name, (heard, joints) in pieces.items():
        found[name].scores.append(score(heard, fmt, joints))
    return jointly_s / apart_s, inverting_s / part.seconds


def main() -> None:
    """Draw, join, score and print."""
    parser = argparse.ArgumentParser(description="Seams of long pieces, and their cost.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--header", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = LoadedModel(options.model, device="cpu")
    settings = resolve_settings(options.model, sampling=Sampling(steps=options.steps))
    found = {name: Found() for name in ("song", "chance", "stitch", "crossfade", "average")}
    apart(model, settings, PROMPTS[0], 4, 0)  # warm
    costs, speeds = zip(
        *(
            measure(model, settings, Part(start=0, seconds=options.seconds, prompt=p), seed, found)
            for seed in range(options.seeds)
            for p in PROMPTS
        ),
        strict=True,
    )
    if options.header:
        print(HEADER)
    for name, results in found.items():
        cost = f"{np.median(costs):.2f} ({min(costs):.2f}-{max(costs):.2f})"
        cells = (
            *provenance("1 thread"),
            options.model.stem,
            f"{len(results.scores)} of {options.seconds:g} s",
            name,
            *results.cells(),
            *((cost, f"{np.median(speeds):.3f} x real time") if name == "song" else ("", "")),
        )
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
