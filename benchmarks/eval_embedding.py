"""Embedding files by CLAP compared with laion-clap: ``python benchmarks/eval_embedding.py``.

Needs the extra ``laion``. Both use equal random weights of HTSAT-base and the same clips of 5.12 s
(44.1 kHz, stereo), and fill ten seconds as the package does: theirs by one call of
``get_audio_embedding_from_filelist``, ours as ``--embedder clap --protocol legacy``, each in its
own process. Prints a Markdown row for each: CPU seconds of the embedding alone (median and range
over rounds), peak memory of the process, and the largest difference of the vectors.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from provenance import provenance

SR, DURATION_S = 44100, 5.12
HEADER = (
    "| date | commit | machine | threads | seed | clips | by | CPU s | against theirs | peak GB"
    " | against theirs | apart |\n|" + "---|" * 12
)


def theirs(checkpoint: Path, files: list[Path]) -> np.ndarray:
    """Embed all files by the package's own call."""
    from eval.embedders.clap_checkpoint import clap_sizes_of, read_checkpoint
    from eval.embedders.laion import build_laion_clap

    tensors = read_checkpoint(checkpoint)
    module = build_laion_clap(clap_sizes_of(tensors))
    module.model.load_state_dict(tensors)
    return timed(lambda: module.get_audio_embedding_from_filelist([str(file) for file in files]))


def ours(folder: Path, files: list[Path], precision: str) -> np.ndarray:
    """Embed all files as ``dmm eval`` does, without the cache."""
    from dmm.registry import load_embedder

    clap = load_embedder("clap", folder, "legacy", precision, "cpu")
    return timed(lambda: clap.embed(files))


def timed(embed: Callable[[], np.ndarray]) -> np.ndarray:
    """Embed, and print the CPU seconds for the parent process."""
    start = time.process_time()
    rows = embed()
    print(time.process_time() - start)
    return rows


def make_checkpoint(folder: Path, seed: int) -> None:
    """Write random weights of HTSAT-base as the package saves them, and convert them."""
    import torch

    from eval.embedders.clap_checkpoint import ClapSizes
    from eval.embedders.convert_clap import convert_clap
    from eval.embedders.laion import build_laion_clap

    torch.manual_seed(seed)
    base = ClapSizes(128, (2, 2, 12, 2), (4, 8, 16, 32), 512, 50265, 514, 768, 12, 3072)
    model = build_laion_clap(base).model
    for parameter in model.text_branch.parameters():  # created without values
        torch.nn.init.normal_(parameter, std=0.02)
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    torch.save({"state_dict": state}, folder / "clap.pt")
    convert_clap(folder / "clap.pt", folder / "clap")


def make_clips(folder: Path, count: int, seed: int) -> None:
    """Write clips of random chords with noise."""
    import soundfile

    rng, t = np.random.default_rng(seed), np.arange(int(SR * DURATION_S)) / SR
    for index in range(count):
        hz = rng.uniform(80, 2000, (4, 2, 1))
        sound = 0.1 * np.sin(2 * np.pi * hz * t).sum(0) + rng.normal(0, 0.02, (2, len(t)))
        soundfile.write(folder / f"{index:03}.flac", sound.T, SR)


def in_a_process(*arguments: str) -> tuple[list[str], float]:
    """Run this script in a child process; returns its output and its peak memory in GB."""
    command = [sys.executable, __file__, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        printed = child.stdout.read().split()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(arguments)}: ended with {child.returncode}")
    return printed, usage.ru_maxrss * 1024 / 1e9


def measure(options: argparse.Namespace, work: Path) -> None:
    """Measure both alternately over all rounds, and print the rows."""
    for step in ("checkpoint", "clips"):
        in_a_process("--do", step, "--work", str(work), *passed_on(options))
    cost: dict[str, list[float]] = {"theirs": [], "ours": []}
    memory: dict[str, float] = dict.fromkeys(cost, 0.0)
    for _ in range(options.rounds):
        for who in cost:
            printed, peak = in_a_process("--do", who, "--work", str(work), *passed_on(options))
            cost[who].append(float(printed[-1]))
            memory[who] = max(memory[who], peak)
    rows = {who: np.load(work / f"{who}.npy") for who in cost}
    apart = np.abs(rows["theirs"] - rows["ours"]).max()
    names = {"theirs": "laion-clap, all files", "ours": f"clap, {options.precision}"}
    print(HEADER)
    for who, name in names.items():
        seconds = np.array(cost[who])
        cells = (
            *provenance(),
            str(options.threads),
            str(options.seed),
            str(options.clips),
            name,
            f"{np.median(seconds):.1f} ({seconds.min():.1f}-{seconds.max():.1f})",
            f"{np.median(cost['theirs']) / np.median(seconds):.2f} x faster",
            f"{memory[who]:.2f}",
            f"{memory[who] / memory['theirs']:.2f}",
            "" if who == "theirs" else f"{apart:.1e}",
        )
        print(f"| {' | '.join(cells)} |")


def passed_on(options: argparse.Namespace) -> list[str]:
    """Options to pass to a child process."""
    names = ("clips", "seed", "threads", "precision")
    return [part for name in names for part in (f"--{name}", str(getattr(options, name)))]


def do(options: argparse.Namespace) -> None:
    """Run one step in a child process."""
    import torch

    torch.set_num_threads(options.threads)
    work: Path = options.work
    files = sorted(work.glob("*.flac"))
    if options.do == "checkpoint":
        make_checkpoint(work, options.seed)
    elif options.do == "clips":
        make_clips(work, options.clips, options.seed)
    elif options.do == "theirs":
        np.save(work / "theirs.npy", theirs(work / "clap.pt", files))
    else:
        np.save(work / "ours.npy", ours(work / "clap", files, options.precision))


def main() -> None:
    """Measure, or run one step in a child process."""
    parser = argparse.ArgumentParser(description="Embedding files compared with laion-clap.")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--do", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.do:
        return do(options)
    with tempfile.TemporaryDirectory() as work:
        measure(options, Path(work))


if __name__ == "__main__":
    main()
