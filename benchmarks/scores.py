"""Speed and accuracy of FAD and KAD: ``python benchmarks/scores.py --peers PYTHON``.

PYTHON is the interpreter of a separate environment with numpy, scipy and torch, and with fadtk,
frechet-audio-distance and kadtk installed without their dependencies, whose pins conflict. Calls
alternate with ours on the same unit rows, on one thread; times are medians of CPU time. Without
``--peers`` only our own columns are filled.

Prints two Markdown tables. FAD: by number of clips in both sets, from embeddings and from saved
statistics, with the error of FAD(X, 1.3 X) relative to its closed form. KAD: by number of clips.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from provenance import provenance

from eval.metrics.fad import fit_gaussian, frechet_distance, gaussian_distance
from eval.metrics.kad import kernel_distance

DIM = 512
CLIPS = (10, 100, 1000, 10_000)
KAD_CLIPS = (10, 100, 1000)
FAD_HEADER = (
    "| date | commit | machine | clips | FAD ms | fadtk | frechet-audio-distance | saved ms | fadtk"
    " | off fadtk | off f-a-d | error | fadtk's | f-a-d's |\n|" + "---|" * 14
)
KAD_HEADER = (
    "| date | commit | machine | clips against 1000 | KAD ms | kadtk | off kadtk |\n|" + "---|" * 7
)


class Peers:
    """A running ``scores_peers.py``; without an interpreter all answers are None."""

    def __init__(self, python: Path | None):
        self.process = python and subprocess.Popen(
            [python, Path(__file__).with_name("scores_peers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.versions = self._answer() if self.process else {}

    def ask(self, name: str, what: str, file: Path) -> tuple[float, float] | None:
        """A peer's value and CPU seconds."""
        if not self.process:
            return None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{name} {what} {file}\n")
        self.process.stdin.flush()
        value, seconds = self._answer()
        return value, seconds

    def _answer(self):
        assert self.process and self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


def rows(rng: np.random.Generator, n: int) -> np.ndarray:
    """Random unit rows around a common direction, with a diversity like music's in CLAP's space."""
    x = rng.normal(size=(n, DIM)) * np.arange(1.0, DIM + 1) ** -0.5 / 4
    x[:, 0] += 1
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def timed(call: Callable[[], float]) -> tuple[float, float]:
    """A call's value and CPU seconds."""
    start = time.process_time()
    value = call()
    return value, time.process_time() - start


class Column:
    """Values and times of one implementation."""

    def __init__(self):
        self.answers: list[tuple[float, float]] = []

    def add(self, answer: tuple[float, float] | None) -> None:
        """Add an answer, unless it is None."""
        if answer is not None:
            self.answers.append(answer)

    @property
    def seconds(self) -> float:
        """Median time over rounds."""
        return float(np.median([seconds for _, seconds in self.answers]))

    def times(self, ours: "Column") -> str:
        """Time relative to ours, and in milliseconds."""
        if not self.answers:
            return ""
        return f"{self.seconds / ours.seconds:.3g}x ({1000 * self.seconds:.3g})"

    def off(self, truth: float) -> str:
        """Largest difference to a value."""
        if not self.answers:
            return ""
        return f"{max(abs(value - truth) for value, _ in self.answers):.0e}"


def fad_row(n: int, rounds: int, peers: Peers, folder: Path) -> list[str]:
    """Cells of the FAD table for one number of clips."""
    rng = np.random.default_rng(n)
    x, y = rows(rng, n), rows(rng, n)
    file, grown = folder / "pair.npz", folder / "grown.npz"
    np.savez(file, x=x, y=y)
    x64 = x.astype(np.float64)
    np.savez(grown, x=x64, y=1.3 * x64)
    truth = 0.09 * (np.square(x64 - x64.mean(0)).sum() / (n - 1) + np.square(x64.mean(0)).sum())
    saved = fit_gaussian(x), fit_gaussian(y)
    ours, ours_saved, fadtk, fadtk_saved, other = (Column() for _ in range(5))
    for _ in range(rounds):
        ours.add(timed(lambda: frechet_distance(x, y)))
        fadtk.add(peers.ask("fadtk", "embeddings", file))
        other.add(peers.ask("frechet-audio-distance", "embeddings", file))
        ours_saved.add(timed(lambda: gaussian_distance(*saved)))
        fadtk_saved.add(peers.ask("fadtk", "statistics", file))
    errors = [Column(), Column(), Column()]
    errors[0].add(timed(lambda: frechet_distance(x64, 1.3 * x64)))
    errors[1].add(peers.ask("fadtk", "embeddings", grown))
    errors[2].add(peers.ask("frechet-audio-distance", "embeddings", grown))
    value = ours.answers[0][0]
    return [
        str(n),
        f"{1000 * ours.seconds:.3g}",
        fadtk.times(ours),
        other.times(ours),
        f"{1000 * ours_saved.seconds:.3g}",
        fadtk_saved.times(ours_saved),
        fadtk.off(value),
        other.off(value),
        *(column.off(truth) for column in errors),
    ]


def kad_row(n: int, rounds: int, peers: Peers, folder: Path) -> list[str]:
    """Cells of the KAD table for one number of clips and 1000 reference clips."""
    rng = np.random.default_rng(n)
    x, y = rows(rng, n), rows(rng, 1000)
    file = folder / "kad.npz"
    np.savez(file, x=x, y=y)
    ours, kadtk = Column(), Column()
    for _ in range(rounds):
        ours.add(timed(lambda: kernel_distance(x, y)))
        kadtk.add(peers.ask("kadtk", "embeddings", file))
    value = ours.answers[0][0]
    return [str(n), f"{1000 * ours.seconds:.3g}", kadtk.times(ours), kadtk.off(value)]


def main() -> None:
    """Measure all numbers of clips and print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--peers", type=Path, help="interpreter that has the peers installed")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    about = list(provenance("1 thread"))
    peers = Peers(args.peers)
    print(", ".join(f"{name} {version}" for name, version in peers.versions.items()))
    frechet_distance(rows(np.random.default_rng(0), 600), rows(np.random.default_rng(1), 600))
    with tempfile.TemporaryDirectory() as name:
        for header, clips, cells in (
            (FAD_HEADER, CLIPS, fad_row),
            (KAD_HEADER, KAD_CLIPS, kad_row),
        ):
            print(f"\n{header}")
            for n in clips:
                found = cells(n, args.rounds, peers, Path(name))
                print(f"| {' | '.join([*about, *found])} |", flush=True)


if __name__ == "__main__":
    main()
