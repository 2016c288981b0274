"""Benchmark how audible the joints of long pieces are, and what generating them jointly costs.

Run ``python benchmarks/seams.py MODEL``. For every prompt it generates one piece jointly, and as
many independent clips as that piece has windows. The clips are joined in three ways: crossfaded as
audio over 0.2 s, as Riffusion does; averaged as images over a quarter of a clip; and by ``dmm
stitch``. Every piece is scored on its decoded audio, encoded again. Prints one Markdown row per
method (``--header`` also prints the table's head): the mean absolute seam score z over the pieces
and the largest; and the means of flux, level and mel distance, where 0 means that a joint looks
like any other place. The row ``chance`` scores the joint pieces at random places between their
joints.

The last two columns are CPU time on one thread: generating jointly divided by generating the
windows independently, and the decoding time of the whole piece divided by its duration.
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
from dmm.songs.stitch import FinishedClip, StitchOptions, lay_out_clips, render_song_image
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
"""Riffusion's crossfade of audio."""


@dataclass
class MethodScores:
    """Seam scores of one method, one per piece."""

    scores: list[dict[str, Any]] = field(default_factory=list)

    def cells(self) -> list[str]:
        """The cells of the table's score columns."""
        sizes = np.abs([score["z"] for score in self.scores])
        means = [
            np.mean([score[name] for score in self.scores])
            for name in ("flux", "level", "distance")
        ]
        return [f"{sizes.mean():.2f} ({sizes.max():.2f})", *(f"{mean:+.2f}" for mean in means)]


def cpu_s(function: Callable[[], Any]) -> tuple[Any, float]:
    """Call ``function``; returns its result and the CPU time in seconds."""
    start = time.process_time()
    return function(), time.process_time() - start


def score(sound: np.ndarray, fmt: MelFormat, joints: Sequence[Span]) -> dict[str, Any]:
    """Seam scores of mono sound at ``joints``."""
    n_frames = sound.shape[1] // fmt.hop_length
    image = encode(sound[:, : n_frames * fmt.hop_length], fmt)
    return score_seams(Song(image, fmt, (), tuple(joints), {}))


def crossfade(clips: Sequence[np.ndarray], fmt: MelFormat) -> tuple[np.ndarray, list[Span]]:
    """Decode each clip and crossfade the audio linearly; returns the audio and its joints."""
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


def average(clips: Sequence[np.ndarray], fmt: MelFormat) -> tuple[np.ndarray, list[Span]]:
    """Average images that overlap by a quarter, then decode once; returns audio and joints."""
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


def stitch(clips: Sequence[np.ndarray], fmt: MelFormat) -> tuple[np.ndarray, list[Span]]:
    """Join the clips as ``dmm stitch`` does; returns the audio and its joints."""
    finished = [FinishedClip(Path(f"{n}.png"), clip, fmt, "", None) for n, clip in enumerate(clips)]
    layout = lay_out_clips(finished, StitchOptions())
    return decode(render_song_image(finished, layout), fmt), list(layout.joints())


def random_places(layout: SongLayout, seed: int) -> list[Span]:
    """One random place after each joint, as wide as a joint, if it fits before the next joint."""
    rng = np.random.default_rng(seed)
    joints, _ = layout.joints_and_changes()
    places = []
    for (_, stop), (start, end) in zip(joints, [*joints[1:], joints[-1]], strict=True):
        width = end - start
        if start - width > stop:
            first = int(rng.integers(stop, start - width))
            places.append((first, first + width))
    return places


def generate_clips(
    model: LoadedModel, settings: GenerationSettings, prompt: str, count: int, seed: int
) -> list[np.ndarray]:
    """Generate independent clips as ``dmm generate`` does, in batches of four."""
    requests = [ClipRequest(prompt, 1000 * (seed + 1) + number) for number in range(count)]
    return [
        image.levels
        for start in range(0, count, 4)
        for image in model.generate_images(requests[start : start + 4], settings)
    ]


def measure(
    model: LoadedModel,
    settings: GenerationSettings,
    part: Part,
    seed: int,
    scores: dict[str, MethodScores],
) -> tuple[float, float]:
    """Add the scores of one piece per method to ``scores``; returns the two costs.

    The costs are the times of generating jointly per generating the windows independently, and of
    decoding per second of the piece.
    """
    fmt = settings.fmt
    layout = lay_out_song(
        Timeline(part=(part,)), SongOptions(seed), fmt, model.pipeline.vae_scale_factor
    )
    n_windows = len(layout.windows.starts)
    (image, _), jointly_s = cpu_s(lambda: generate_song_image(model, settings, layout, Callbacks()))
    clips, independently_s = cpu_s(
        lambda: generate_clips(model, settings, part.prompt, n_windows, seed)
    )
    sound, decoding_s = cpu_s(lambda: decode(image, fmt))
    pieces = {
        "song": (sound, layout.joints_and_changes()[0]),
        "chance": (sound, random_places(layout, seed)),
        "stitch": stitch(clips, fmt),
        "crossfade": crossfade(clips, fmt),
        "average": average(clips, fmt),
    }
    for name, (audio, joints) in pieces.items():
        scores[name].scores.append(score(audio, fmt, joints))
    return jointly_s / independently_s, decoding_s / part.seconds


def main() -> None:
    """Generate, join and score the pieces, and print the table."""
    parser = argparse.ArgumentParser(description="Joints of long pieces, and their cost.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--header", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = LoadedModel(options.model, device="cpu")
    settings = resolve_settings(options.model, sampling=Sampling(steps=options.steps))
    scores = {name: MethodScores() for name in ("song", "chance", "stitch", "crossfade", "average")}
    generate_clips(model, settings, PROMPTS[0], 4, 0)  # warm up
    costs, speeds = zip(
        *(
            measure(model, settings, Part(start=0, seconds=options.seconds, prompt=p), seed, scores)
            for seed in range(options.seeds)
            for p in PROMPTS
        ),
        strict=True,
    )
    if options.header:
        print(HEADER)
    for name, results in scores.items():
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
