"""Drawing clips against diffusers' own pipeline: ``python benchmarks/generate.py``.

Both draw the same clips from the same noise in one process, by turns, in one thread; what counts is
processor time. Ours is what ``dmm generate`` does for a batch: words, sampling, VAE, levels. Theirs
is one call of the pipeline for as many prompts, and a call a clip beside it. The way from picture
to sound is timed apart, and in the end the whole command, wall clock, with as many threads as there
are processors.

Prints one Markdown row: date, commit, machine, model, clips, steps, rounds; the median ratio of
times per round (lowest-highest) against their batch and against clip by clip; the largest
difference to their clip-by-clip pictures in grey levels; sound by its own length; seconds of the
command.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from provenance import provenance

from dmm.codec.decode import decode
from dmm.engine import ROOT
from dmm.generation.loaded_model import LoadedModel
from dmm.generation.requests import ClipRequest, clip_requests
from dmm.generation.sampling import Sampling, make_scheduler
from dmm.generation.settings import GenerationSettings, resolve_settings

NANO = ROOT / "models" / "nano" / "nano.safetensors"
PROMPTS = ("piano, happy, slow", "organ and synth bass, energetic, fast")
COMMAND_CLIPS = 8


def ours(
    model: LoadedModel, clips: Sequence[ClipRequest], settings: GenerationSettings
) -> list[np.ndarray]:
    """Mel images by our code, in one batch."""
    return [picture.levels for picture in model.generate_images(clips, settings)]


def theirs(
    pipeline: Any, clips: Sequence[ClipRequest], settings: GenerationSettings
) -> list[np.ndarray]:
    """Mel images by one call of the pipeline."""
    sampling = settings.sampling
    pictures = pipeline(
        [clip.prompt for clip in clips],
        negative_prompt=[sampling.negative_prompt] * len(clips),
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        generator=[torch.Generator().manual_seed(clip.seed) for clip in clips],
        height=settings.fmt.n_mels,
        width=settings.fmt.n_frames,
        output_type="np",
    ).images
    return [np.rint(picture.mean(-1) * 255).astype(np.uint8) for picture in pictures]


def timed(draw: Callable[[], list[np.ndarray]]) -> tuple[float, list[np.ndarray]]:
    """Processor seconds, and what was drawn."""
    begin = time.process_time()
    drawn = draw()
    return time.process_time() - begin, drawn


def command_s(model: Path, steps: int) -> float:
    """Wall-clock seconds of the whole command for eight clips."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("NUM_THREADS")}
    words = ["generate", *PROMPTS, "--count", str(COMMAND_CLIPS // len(PROMPTS))]
    with tempfile.TemporaryDirectory() as out:
        words += ["--model", str(model), "--steps", str(steps), "--out", out]
        begin = time.perf_counter()
        command = [sys.executable, "-m", "dmm", *words]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - begin


def spread(values: Sequence[float]) -> str:
    """Median and range."""
    return f"{np.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def main() -> None:
    """Warm up, draw by turns, time the sound and the command, print the row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=NANO)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-command", action="store_true", help="leave the whole command out")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = resolve_settings(args.model, sampling=Sampling(steps=args.steps))
    model = LoadedModel(args.model, device="cpu")
    clips, pipeline = clip_requests(PROMPTS, args.clips, 0)[: args.clips], model.pipeline
    pipeline.scheduler = make_scheduler(settings.sampling.sampler, pipeline.scheduler.config)
    ways: dict[str, Callable[[], list[np.ndarray]]] = {
        "ours": lambda: ours(model, clips, settings),
        "batch": lambda: theirs(pipeline, clips, settings),
        "alone": lambda: [theirs(pipeline, [clip], settings)[0] for clip in clips],
    }
    drawn = {name: draw() for name, draw in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(args.rounds):
        for name in sorted(ways, reverse=number % 2 == 0):
            passed, drawn[name] = timed(ways[name])
            seconds[name].append(passed)
    ratios = [np.divide(seconds["ours"], seconds[name]).tolist() for name in ("batch", "alone")]
    pairs = zip(drawn["ours"], drawn["alone"], strict=True)
    difference = max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)
    decode(drawn["ours"][0], settings.fmt)
    sound_s, _ = timed(lambda: [decode(levels, settings.fmt) for levels in drawn["ours"]])
    sound = sound_s / (len(clips) * settings.fmt.clip_duration_s)
    share = sound_s / np.median(seconds["ours"])
    whole = "" if args.no_command else f"{command_s(args.model, 25):.1f}"
    cells = (
        *provenance(),
        args.model.stem,
        str(len(clips)),
        str(args.steps),
        str(args.rounds),
        *map(spread, ratios),
        str(difference),
        f"{sound:.3f} x real time, {share:.1%} of drawing",
        whole,
    )
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
