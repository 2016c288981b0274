"""Speed of building datasets from files: ``python benchmarks/dataset.py [AUDIO...] --files 12``.

Prints one Markdown row (``--header`` prints the table's header too). It needs four times as many
files as it measures (N): the named files, or MiniMIDI pieces written alternately as MP3 and FLAC.
Every measurement is a process with one thread that builds at sdxl-512 into a new folder, or runs
Riffusion's clip and image scripts on the same files (``riffusion_images.py``). The cost of two
files of 6 s counts as start-up (imports, compilation) and is subtracted.

- x real time per core: seconds of music per second of CPU time, children's too, with 1 process;
- 1 to 2: wall clock time with 1 process over that with 2;
- x Riffusion: its CPU time over ours with 1 process, measured in the same round;
- MB at N, at 4 N: the largest resident set of any process, with 1 process; at 4 N measured once.

The first three are medians over rounds, with ranges in brackets.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from dataset_tools.sources import SourceRequest, Track
from dataset_tools.sources.catalogue import source_tracks

HEADER = (
    "| date | commit | machine | music | rounds | x real time per core | 1 to 2 | x Riffusion"
    " | MB at N | MB at 4 N |\n|" + "---|" * 10
)
SR, SHORT_S, TIMES = 44_100, 6.0, 4
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMBA")}
BUILD = """
import sys
from pathlib import Path
from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions

if __name__ == "__main__":
    music, out, jobs = sys.argv[1:]
    build_dataset(Path(out), BuildOptions(format="sdxl-512"), input=Path(music), jobs=int(jobs))
"""
WATCH = """
import resource, subprocess, sys, time

from provenance import provenance
start = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
wall_s = time.monotonic() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, wall_s, used.ru_maxrss)
sys.exit(done.returncode)
"""


@dataclass(frozen=True)
class Cost:
    """Resources that a process and its children used."""

    cpu_s: float
    wall_s: float
    peak_mb: float

    def less(self, start: "Cost") -> "Cost":
        """The cost minus that of starting."""
        return Cost(self.cpu_s - start.cpu_s, self.wall_s - start.wall_s, self.peak_mb)


@dataclass(frozen=True)
class Bench:
    """The work folder, and the two programs that are measured."""

    work: Path

    def build(self, music: str, jobs: int) -> Cost:
        """Build one dataset with ``jobs`` processes, and delete it."""
        script = self.work / "build.py"  # a file, because worker processes import it
        script.write_text(BUILD, encoding="utf-8")
        return self._run([script, self.work / music, self.work / "out", str(jobs)])

    def riffusion(self, music: str) -> Cost:
        """Run Riffusion's two scripts, and delete their output."""
        script = Path(__file__).with_name("riffusion_images.py")
        return self._run([script, self.work / music, self.work / "out"])

    def _run(self, arguments: Sequence[str | Path]) -> Cost:
        """Run a script under a watching process of its own, as the peak of children never falls."""
        command = [sys.executable, "-c", WATCH, sys.executable, *map(str, arguments)]
        found = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | ONE_THREAD, check=False
        )
        if found.returncode:
            sys.exit(found.stderr)
        shutil.rmtree(self.work / "out")
        cpu_s, wall_s, peak = map(float, found.stdout.split())
        return Cost(cpu_s, wall_s, peak / (2**20 if sys.platform == "darwin" else 2**10))


def make_music(folder: Path, files: int, seconds: float, seed: int = 0) -> None:
    """Write MiniMIDI pieces in stereo, alternately as MP3 and FLAC, with some noise."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    request = SourceRequest(count=files, duration_s=seconds, seed=seed)
    tracks = (t for t in source_tracks("minimidi", request) if isinstance(t, Track))
    for number, track in enumerate(tracks):
        sound = track.load(SR, 2).T
        noisy = sound + rng.normal(0, 1e-4, sound.shape)
        path = folder / f"{number:04d}.{('mp3', 'flac')[number % 2]}"
        soundfile.write(path, noisy.clip(-1, 1).astype(np.float32), SR)


def copy(audio: Sequence[Path], folder: Path) -> None:
    """Copy files into a new folder; the build refuses links."""
    folder.mkdir()
    for number, path in enumerate(audio):
        shutil.copyfile(path, folder / f"{number:04d}{path.suffix}")


def spread(values: Sequence[float]) -> str:
    """The median, and the range in brackets."""
    return f"{np.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def measure(bench: Bench, rounds: int) -> tuple[list[float], list[float], list[float], list[str]]:
    """Real time factors, scalings, ratios to Riffusion, and peaks in MB at N and 4 N files."""
    bench.build("short", 1)  # compiles and fills caches
    starts = bench.build("short", 1), bench.build("short", 2), bench.riffusion("short")
    factors, scalings, ratios, peaks = [], [], [], []
    for _ in range(rounds):
        one = bench.build("some", 1)
        theirs = bench.riffusion("some").less(starts[2])
        two = bench.build("some", 2).less(starts[1])
        peaks.append(one.peak_mb)
        one = one.less(starts[0])
        factors.append(seconds_of(bench.work / "some") / one.cpu_s)
        scalings.append(one.wall_s / two.wall_s)
        ratios.append(theirs.cpu_s / one.cpu_s)
    return factors, scalings, ratios, [f"{max(peaks):.0f}", f"{bench.build('all', 1).peak_mb:.0f}"]


def seconds_of(folder: Path) -> float:
    """Duration of the music in a folder."""
    return sum(soundfile.info(path).duration for path in folder.iterdir())


def row(bench: Bench, rounds: int) -> str:
    """The Markdown row."""
    factors, scalings, ratios, peaks = measure(bench, rounds)
    some = bench.work / "some"
    cells = (
        *provenance(),
        f"N = {len(list(some.iterdir()))}, {seconds_of(some) / 60:.1f} min",
        str(rounds),
        *map(spread, (factors, scalings, ratios)),
        *peaks,
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prepare the music, measure, print the row."""
    parser = argparse.ArgumentParser(description="Speed and memory of building datasets.")
    parser.add_argument("audio", nargs="*", type=Path, help="default: MiniMIDI pieces")
    parser.add_argument("--files", type=int, default=12, help="N; 4 N files are needed")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of MiniMIDI pieces")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--header", action="store_true")
    options = parser.parse_args()
    count = TIMES * options.files
    if options.audio and len(options.audio) < count:
        parser.error(f"{len(options.audio)} files given; --files {options.files} needs {count}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        make_music(bench.work / "short", 2, SHORT_S, seed=1_000_000)
        audio = options.audio[:count]
        if not audio:
            make_music(bench.work / "made", count, options.seconds)
            audio = sorted((bench.work / "made").iterdir())
        copy(audio, bench.work / "all")
        copy(audio[: options.files], bench.work / "some")
        if options.header:
            print(HEADER)
        print(row(bench, options.rounds))


if __name__ == "__main__":
    main()
