"""How long do commands take before they work? CPU time of processes, as ratios of ``dmm --help``.

``python benchmarks/startup.py [--rounds 5]`` starts every command in turn, round by round, so that
a busy machine slows all of them alike; prints one row of medians. A first round, which is not
counted, lets Python write its bytecode, as it does for users.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from provenance import provenance

COMMANDS = {
    "--help": ["-m", "dmm", "--help"],
    "refused": ["-m", "dmm", "trian"],
    "data --help": ["-m", "dmm", "data", "--help"],
    "generate --help": ["-m", "dmm", "generate", "--help"],
    "refused number": ["-m", "dmm", "song", "--seconds", "nan"],
    "import torch": ["-c", "import torch"],
    "doctor": ["-m", "dmm", "doctor"],
}


def cpu_s(arguments: list[str]) -> float:
    """Processor seconds of a process and its children."""
    before = os.times()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, *arguments], capture_output=True, check=False, cwd=folder,
            env={**os.environ, "PYTHONPATH": os.getcwd(), "PYTHONDONTWRITEBYTECODE": ""},
        )  # fmt: skip
    after = os.times()
    return (
        after.children_user + after.children_system - before.children_user - before.children_system
    )


def main() -> None:
    """Print one Markdown row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    times = {name: [] for name in COMMANDS}
    for _ in range(1 + rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(cpu_s(arguments))
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    base = medians["--help"]
    cells = [f"{base:.2f} s", *(f"{medians[name] / base:.2f} x" for name in list(COMMANDS)[1:5])]
    cells.append(f"{medians['doctor'] - medians['import torch']:+.2f} s")
    print("|", " | ".join([*provenance(), str(rounds), *cells]), "|")


if __name__ == "__main__":
    main()
