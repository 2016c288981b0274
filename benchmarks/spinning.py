"""Benchmark the limit on OpenMP's spinning (``dmm.threads``) on a quiet and on a busy CPU.

Run ``python benchmarks/spinning.py``. Each work is done by a process of its own with one thread a
core, alternately with GNU OpenMP's own spin count (300,000) and with ours, while ``--busy`` other
processes compute. Training is a step of nano's UNet on four clips, forward and backward; generating
is one clip in two steps; embedding is eight clips of 5.12 s by nano-clap; building is a dataset of
two MiniMIDI clips. The first unit of each process is not timed.

Prints a Markdown row for each work: date, commit, machine with its load average, work, number of
busy processes, rounds, seconds of one unit (wall clock, median) by either spin count, and their
ratio. "> S" is a process that was ended after ``--limit`` seconds without a unit timed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
from provenance import provenance

from dmm.threads import SPIN_COUNT, USER_VARIABLES

COUNTS = (300_000, SPIN_COUNT)
THREADS = "OMP_NUM_THREADS"
SPIN = "while True: pass"


def training() -> Callable[[], object]:
    """A step of nano's UNet on four clips, without the update."""
    import torch

    from dmm.pretraining.nano import NANO, build_four_networks

    unet, *_ = build_four_networks(NANO)
    latents, context = torch.randn(4, 8, 32, 32), torch.randn(4, 77, NANO.context_dim)
    added = {"text_embeds": torch.randn(4, 128), "time_ids": torch.zeros(4, 6)}

    def step() -> None:
        found = unet(latents, torch.tensor(500), context, added_cond_kwargs=added).sample
        found.square().mean().backward()

    return step


def generating() -> Callable[[], object]:
    """One clip in two steps."""
    from dmm.engine import ROOT
    from dmm.generation.loaded_model import LoadedModel
    from dmm.generation.requests import clip_requests
    from dmm.generation.sampling import Sampling
    from dmm.generation.settings import resolve_settings

    nano = ROOT / "models" / "nano" / "nano.safetensors"
    model, clips = LoadedModel(nano, device="cpu"), clip_requests(["piano"], 1, 0)
    settings = resolve_settings(nano, sampling=Sampling(steps=2))
    return lambda: list(model.generate_images(clips, settings))


def embedding() -> Callable[[], object]:
    """Eight clips of 5.12 s by nano-clap."""
    from dmm.registry import load_text_embedder

    embedder = load_text_embedder("nano-clap")
    sounds = np.random.default_rng(0).normal(size=(8, 112_896)).astype(np.float32)
    return lambda: embedder.embed_sounds(sounds, 22_050)


def building() -> Callable[[], object]:
    """A dataset of two MiniMIDI clips, in this process."""
    from dmm.cli import run

    def build() -> None:
        with tempfile.TemporaryDirectory() as out:
            command = ["data", "build", "--source", "minimidi", "--count", "2", "--jobs", "1"]
            assert run([*command, "--out", f"{out}/data"]) == 0

    return build


WORKS = {work.__name__: work for work in (training, generating, embedding, building)}


def time_units(work: str, units: int) -> None:
    """Do one unit untimed, then print the seconds of each further one (in the child process)."""
    unit = WORKS[work]()
    unit()
    for _ in range(units):
        begin = time.perf_counter()
        unit()
        print(time.perf_counter() - begin, flush=True)


def measure(work: str, count: int, units: int, limit_s: float) -> list[float]:
    """Seconds of the units that a new process finished within the limit."""
    variables = {k: v for k, v in os.environ.items() if k not in (*USER_VARIABLES, THREADS)}
    command = [sys.executable, __file__, "--work", work, "--units", str(units)]
    with tempfile.TemporaryFile("w+") as printed:
        child = subprocess.Popen(
            command,
            stdout=printed,
            stderr=subprocess.DEVNULL,
            env=variables | {"GOMP_SPINCOUNT": str(count)},
        )
        try:
            child.wait(limit_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        printed.seek(0)
        return [float(line) for line in printed if line[:1].isdigit() and " " not in line]


def cell(seconds: list[float], limit_s: float) -> str:
    """Median seconds, or the limit."""
    return f"{np.median(seconds):.3g}" if seconds else f"> {limit_s:.0f}"


def row(work: str, busy: int, args: argparse.Namespace) -> str:
    """Measure one work with both counts, alternately."""
    seconds: dict[int, list[float]] = {count: [] for count in COUNTS}
    with ExitStack() as stack:
        for _ in range(busy):
            child = stack.enter_context(subprocess.Popen([sys.executable, "-c", SPIN]))
            stack.callback(child.kill)
        for _ in range(args.rounds):
            for count in COUNTS:
                seconds[count] += measure(work, count, args.units, args.limit)
    before, after = (seconds[count] for count in COUNTS)
    ratio = f"{np.median(before) / np.median(after):.2f}" if before and after else ""
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}"
    times = cell(before, args.limit), cell(after, args.limit), ratio
    return f"| {' | '.join(map(str, (*provenance(load), work, busy, args.rounds, *times)))} |"


def main() -> None:
    """Print a row for each work and number of busy processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", choices=WORKS, help="only time this, in this process")
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS))
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--units", type=int, default=5)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds for a process")
    args = parser.parse_args()
    if args.work:
        time_units(args.work, args.units)
        return
    for work in args.works:
        for busy in args.busy:
            print(row(work, busy, args), flush=True)


if __name__ == "__main__":
    main()
