"""Benchmark the generation of clips by ``dmm generate`` against diffusers' own pipeline.

Run ``python benchmarks/generate.py``. Both generate the same clips from the same noise in one
process, alternately, on one thread; CPU time is compared. Ours is what ``dmm generate`` does with
a batch: text encoding, sampling, VAE and levels. The pipeline is called once for the whole batch,
and once per clip. Decoding the images to audio is timed separately; so is the whole command, as
wall-clock time with as many threads as there are processors.

Prints one Markdown row: date, commit, machine, model, clips, steps, rounds; the median ratio of
CPU times per round (lowest-highest) to the pipeline's with one batch, and to the pipeline's clip
by clip; the largest difference from its clip-by-clip images in grey levels; decoding time per
second of audio; seconds of the whole command.
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
    """Generate mel images with our code, in one batch."""
    return [image.levels for image in model.generate_images(clips, settings)]


def theirs(
    pipeline: Any, clips: Sequence[ClipRequest], settings: GenerationSettings
) -> list[np.ndarray]:
    """Generate mel images with one call of the pipeline."""
    sampling = settings.sampling
    images = pipeline(
        [clip.prompt for clip in clips],
        negative_prompt=[sampling.negative_prompt] * len(clips),
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        generator=[torch.Generator().manual_seed(clip.seed) for clip in clips],
        height=settings.fmt.n_mels,
        width=settings.fmt.n_frames,
        output_type="np",
    ).images
    return [np.rint(image.mean(-1) * 255).astype(np.uint8) for image in images]


def timed(generate: Callable[[], list[np.ndarray]]) -> tuple[float, list[np.ndarray]]:
    """Call ``generate``; returns its CPU time in seconds and its images."""
    begin = time.process_time()
    images = generate()
    return time.process_time() - begin, images


def command_s(model: Path, steps: int) -> float:
    """Wall-clock seconds of the whole command for ``COMMAND_CLIPS`` clips."""
    environment = {k: v for k, v in os.environ.items() if not k.endswith("NUM_THREADS")}
    arguments = ["generate", *PROMPTS, "--count", str(COMMAND_CLIPS // len(PROMPTS))]
    with tempfile.TemporaryDirectory() as out:
        arguments += ["--model", str(model), "--steps", str(steps), "--out", out]
        begin = time.perf_counter()
        command = [sys.executable, "-m", "dmm", *arguments]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        return time.perf_counter() - begin


def spread(values: Sequence[float]) -> str:
    """Median and range as a table cell."""
    return f"{np.median(values):.3f} ({min(values):.3f}-{max(values):.3f})"


def main() -> None:
    """Warm up, generate alternately, time decoding and the command, print the row."""
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
    methods: dict[str, Callable[[], list[np.ndarray]]] = {
        "ours": lambda: ours(model, clips, settings),
        "batch": lambda: theirs(pipeline, clips, settings),
        "alone": lambda: [theirs(pipeline, [clip], settings)[0] for clip in clips],
    }
    images = {name: generate() for name, generate in methods.items()}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for number in range(args.rounds):
        for name in sorted(methods, reverse=number % 2 == 0):
            passed, images[name] = timed(methods[name])
            seconds[name].append(passed)
    ratios = [np.divide(seconds["ours"], seconds[name]).tolist() for name in ("batch", "alone")]
    pairs = zip(images["ours"], images["alone"], strict=True)
    difference = max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)
    decode(images["ours"][0], settings.fmt)
    sound_s, _ = timed(lambda: [decode(levels, settings.fmt) for levels in images["ours"]])
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
