"""A build that is killed at any moment and run again gives the bytes of an uninterrupted one.

One process, warm from a build of its own, forks a child for every build: importing alone would
take longer than all of them. A child counts its file operations and kills itself with SIGKILL a
random moment after the requested one; before each of the last ones without a delay.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

SERVER = """
import json, os, random, shutil, signal, sys, threading, time
from pathlib import Path

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions

music, folder, points, seed = Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:])
COUNTED = {"open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "os.scandir"}
operations = 0

def build(name):
    build_dataset(folder / name, BuildOptions(format="nano"), input=music, jobs=1)

def in_child(name, operation, delay_s):
    # The child's exit status; 9 where it was killed, -1 where it failed.
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        return os.WTERMSIG(status) or -os.WEXITSTATUS(status)
    try:
        sys.addaudithook(killer(operation, delay_s))
        build(name)
        (folder / "operations").write_text(str(operations))
        os._exit(0)
    finally:
        os._exit(1)

def killer(operation, delay_s):
    def hook(event, arguments):
        global operations
        if event in COUNTED:
            operations += 1
            if operations == operation and delay_s == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            elif operations == operation:
                threading.Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return hook

def tree(name):
    return {p.relative_to(folder / name): p.read_bytes()
            for p in (folder / name).rglob("*") if p.is_file()}

build("whole")
whole = tree("whole")
start = time.monotonic()
assert in_child("again", None, 0) == 0
total, pause_s = int((folder / "operations").read_text()), time.monotonic() - start
pause_s /= total
chance = random.Random(seed)
moments = [((i + chance.random()) / points * total, chance.random()) for i in range(points)]
moments += [(total - n, 0) for n in range(points // 5 + 1)]  # each of the last operations
for place, delay in moments:
    status = in_child("killed", max(1, int(place)), delay * pause_s)
    left = len(tree("killed")) if (folder / "killed").exists() else 0
    again = in_child("killed", None, 0)
    found = {"status": status, "left": left, "again": again, "same": tree("killed") == whole}
    print(json.dumps(found | {"place": place / total}), flush=True)
    shutil.rmtree(folder / "killed")
"""


@pytest.fixture
def killed(music, tmp_path):
    """Kill a build at some points, spread over its length and at its end; what became of each."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")
    for n in range(6):
        music(f"song {n}.flac", 11, text=f"Song number {n}. Slow piano")

    def run(points):
        command = [sys.executable, "-c", SERVER, music.root, tmp_path, str(points), "0"]
        one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # a fork keeps no other thread
        found = subprocess.run(command, stdout=subprocess.PIPE, env=one_thread, check=True)
        return [json.loads(line) for line in found.stdout.splitlines()]

    return run


def check(points):
    assert all(point["again"] == 0 and point["same"] for point in points)
    assert {point["status"] for point in points} <= {0, 9}
    assert np.mean([point["status"] == 9 for point in points]) > 0.8  # few were done before
    assert len({point["left"] for point in points}) > len(points) / 3


def test_killed_at_five_points_and_run_again_gives_the_same_bytes(killed):
    check(killed(5))


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_killed_at_25_points_and_run_again_gives_the_same_bytes(killed):
    check(killed(25))
