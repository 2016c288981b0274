"""Memory of tracing a network."""

import threading
import time

import psutil
import torch
from torch import nn

from dmm.export.graph import trace
from dmm.export.traceable_parts import Part


def memory_growth(work):
    """Bytes by which the process grows at most while ``work`` runs."""
    process, sizes, ended = psutil.Process(), [], threading.Event()

    def watch():
        while not ended.is_set():
            sizes.append(process.memory_info().rss)
            time.sleep(0.005)

    watching = threading.Thread(target=watch)
    watching.start()
    work()
    ended.set()
    watching.join()
    return max(sizes) - sizes[0]


def test_tracing_keeps_no_copy_of_the_weights():
    side, layers = 1024, 32
    axes = {0: "batch"}

    def part(side):
        network = nn.Sequential(*(nn.Linear(side, side, device="meta") for _ in range(layers)))
        return Part("net", network, {"x": torch.zeros(2, 4, side)}, {"y": axes}, {"x": axes})

    trace(part(8))  # imports
    assert memory_growth(lambda: trace(part(side))) < 0.5 * 4 * side**2 * layers
