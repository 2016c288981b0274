"""Share of a training step that our hooks take: ``python benchmarks/train_hooks.py``.

``train_overhead.py`` compares whole processes, which on a busy machine differ by more than the
hooks cost. This script puts a clock around each hook of our trainer that stops while a method of
the engine runs within it. Work that the engine would do itself (its batch, its loss) is not
counted; work that replaces the engine's (the Huber threshold, the trackers) is. Prints the header
and one Markdown row: date, commit, machine, steps after the first three, median CPU ms of a step
and of its hooks, median and largest share of the hooks, and the most expensive hooks with their ms
per step.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from provenance import provenance
from train_overhead import OURS, SKIPPED, prepare

from dmm.engine import engine_environment, find_engine

HEADER = (
    "| date | commit | machine | steps | step ms | hooks ms | share (largest) | dearest hooks |\n|"
    + "---|" * 8
)
DEAREST = 4


class Clock:
    """CPU seconds in hooks by name, without the methods that run ``beneath`` them."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._beneath: list[float] = []

    def hook(self, owner: type, name: str) -> None:
        """Count the time of a method of ours, under its name."""
        self._time(owner, name, counts=True)

    def beneath(self, owner: type, name: str) -> None:
        """Exclude the time of an engine's method from the hook that calls it."""
        self._time(owner, name, counts=False)

    def _time(self, owner: type, name: str, counts: bool) -> None:
        method: Callable[..., Any] = vars(owner)[name]

        def timed(*rest: Any, **named: Any) -> Any:
            self._beneath.append(0.0)
            start = time.process_time()
            try:
                return method(*rest, **named)
            finally:
                took, inner = time.process_time() - start, self._beneath.pop()
                if counts:
                    self.seconds[name] += took - inner
                if self._beneath:
                    self._beneath[-1] += took

        setattr(owner, name, timed)


def train(config: Path) -> str:
    """Train in the engine's process; returns the last cells of the row."""
    import train_network
    from library import train_util
    from torch.utils.data import ConcatDataset

    from dmm_ext.batches import NumberedBatches
    from dmm_ext.process import setup_parser
    from dmm_ext.trainer import MelTraining, SdxlMelTrainer

    clock = Clock()
    clock.hook(NumberedBatches, "__getitem__")
    clock.beneath(ConcatDataset, "__getitem__")
    ours = {name for name, value in vars(MelTraining).items() if callable(value)}
    for name in ours - {"train", "load_target_model", "_resume_from_state"}:
        clock.hook(MelTraining, name)
        for owner in SdxlMelTrainer.__mro__[2:]:
            if callable(vars(owner).get(name)):
                clock.beneath(owner, name)
    clock.beneath(train_network.NetworkTrainer, "accelerator_logging")
    stamps: list[tuple[float, Counter[str]]] = []
    trainer: Any = SdxlMelTrainer()
    begin = trainer.on_step_start

    def on_step_start(*rest: Any, **named: Any) -> None:
        stamps.append((time.process_time(), clock.seconds.copy()))
        begin(*rest, **named)

    trainer.on_step_start = on_step_start
    parser = setup_parser()
    sys.argv = ["train", "--config_file", str(config)]
    trainer.train(train_util.read_config_from_file(parser.parse_args(), parser))
    return cells(stamps[SKIPPED:])


def cells(stamps: list[tuple[float, Counter[str]]]) -> str:
    """Format steps, times and shares from the clocks at the beginning of each step."""
    pairs = list(pairwise(stamps))
    steps = [1000 * (after - before) for (before, _), (after, _) in pairs]
    hooks = [1000 * (b.total() - a.total()) for (_, a), (_, b) in pairs]
    shares = [own / step for own, step in zip(hooks, steps, strict=True)]
    spent = {name: stamps[-1][1][name] - stamps[0][1][name] for name in stamps[-1][1]}
    dearest = sorted(spent, key=lambda name: -spent[name])[:DEAREST]
    return " | ".join(
        [
            str(len(steps)),
            f"{statistics.median(steps):.1f}",
            f"{statistics.median(hooks):.2f}",
            f"{statistics.median(shares):.2%} ({max(shares):.2%})",
            ", ".join(f"{name} {1000 * spent[name] / len(steps):.2f}" for name in dearest),
        ]
    )


def main() -> None:
    """Measure in a process with the engine on its path, and print the row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    if options.config:
        options.config.with_name("cells").write_text(train(options.config))
        return
    environment = engine_environment(find_engine()) | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), options.steps, OURS)
        config = Path(folder, "engine.toml")
        command = [sys.executable, __file__, "--config", str(config)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        measured = config.with_name("cells").read_text()
    print(HEADER)
    print(f"| {' | '.join(provenance())} | {measured} |")


if __name__ == "__main__":
    main()
