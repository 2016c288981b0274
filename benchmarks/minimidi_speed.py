"""Speed of MiniMIDI relative to real time: ``python benchmarks/minimidi_speed.py``.

Prints one Markdown row: date, commit, machine, seed, clips, speed on one core with a filled note
cache (median and range of five runs), and the time of the first run, which fills the cache.
"""

import os
import time

os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
from provenance import provenance

from dataset_tools.sources.minimidi import compose, render

SR, SEED, CLIPS, CLIP_S = 22_050, 0, 200, 5.12


def rendering_s() -> float:
    """Seconds to compose and render all clips once."""
    start = time.perf_counter()
    for seed in range(SEED, SEED + CLIPS):
        render(compose(seed, duration_s=CLIP_S), SR)
    return time.perf_counter() - start


def main() -> None:
    """Fill the cache, time five runs, print the row."""
    cold_s = rendering_s()
    speeds = [CLIPS * CLIP_S / rendering_s() for _ in range(5)]
    speed = f"{np.median(speeds):.0f} ({min(speeds):.0f}-{max(speeds):.0f})"
    cells = (
        *provenance(),
        str(SEED),
        str(CLIPS),
        f"{speed} x real time, first pass {cold_s:.1f} s",
    )
    print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
