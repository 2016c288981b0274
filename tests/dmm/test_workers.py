"""Order, bounded numbers under way, lost workers: by processes, by a fake Ray, slowly by Ray."""

import itertools
import math
import operator
import os
import socket
import subprocess
import sys
import time
import types
from functools import partial

import pytest

from dmm import workers
from dmm.errors import DmmError, InputError
from dmm.workers import IN_FLIGHT, map_in_order


class CountedJobs:
    """Endless whole numbers that know how many were asked for."""

    def __init__(self):
        self.taken = 0

    def __iter__(self):
        for n in itertools.count():
            self.taken = n + 1
            yield n


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs(processes):
    assert list(map_in_order(math.sqrt, range(20), processes)) == [math.sqrt(n) for n in range(20)]


def test_no_jobs_give_no_results():
    assert list(map_in_order(math.sqrt, [], 2)) == []


def test_one_job_is_done_in_this_process():
    assert list(map_in_order(operator.call, [os.getpid], 8)) == [os.getpid()]


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_are_fetched_only_as_results_are_consumed(processes):
    jobs = CountedJobs()
    results = map_in_order(math.sqrt, jobs, processes)
    taken = [next(results) for _ in range(30)]
    results.close()
    assert taken == [math.sqrt(n) for n in range(30)]
    assert jobs.taken <= 30 + IN_FLIGHT * processes


def test_a_process_that_dies_is_an_error_in_one_line():
    with pytest.raises(DmmError, match=r"a worker process died.*fewer --jobs$"):
        list(map_in_order(os._exit, [3, 3], 2))


def test_a_jobs_error_is_raised_in_its_place():
    results = map_in_order(math.sqrt, [4, -1, 9], 2)
    assert next(results) == 2
    with pytest.raises(ValueError, match="math domain"):
        next(results)


# Ray


@pytest.fixture
def no_ray(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)


def test_without_ray_one_line_says_what_to_install(no_ray):
    with pytest.raises(DmmError, match=r"pip install -e '\.\[ray\]'"):
        next(map_in_order(math.sqrt, [1], 1, ray_address="local"))


@pytest.mark.parametrize("address", ["127.0.0.1", "ray://", "ray://host:port"])
def test_an_address_without_host_and_port_is_refused(address):
    with pytest.raises(DmmError, match=r"no address; use .*ray://HOST:PORT"):
        next(map_in_order(math.sqrt, [1], 1, ray_address=address))


@pytest.fixture
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("named", [True, False], ids=["ray://", "auto"])
def test_a_cluster_that_does_not_answer_is_an_error_at_once(named, closed_port, monkeypatch):
    address = f"ray://127.0.0.1:{closed_port}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    start = time.monotonic()
    with pytest.raises(DmmError, match=rf"{closed_port}: no cluster answers.*--ray local"):
        next(map_in_order(math.sqrt, [1], 1, ray_address=address if named else "auto"))
    assert time.monotonic() - start < 10


class FakeRay(types.ModuleType):
    """Ray in this process: a task is done when its result is asked for."""

    class RayError(Exception):
        pass

    class RayTaskError(RayError):
        def __init__(self, cause):
            super().__init__("many\nlines")
            self.cause = cause

    def __init__(self):
        super().__init__("ray")
        self.exceptions = self
        self.cancelled, self.peak, self.waiting = [], 0, 0

    def is_initialized(self):
        return True

    def cluster_resources(self):
        return {"CPU": 2.0}

    def cancel(self, ticket):
        self.cancelled.append(ticket)

    def remote(self, **options):
        def submit(function, job):
            self.waiting += 1
            self.peak = max(self.peak, self.waiting)
            return partial(function, job)

        return lambda function: types.SimpleNamespace(remote=partial(submit, function))

    def get(self, ticket):
        self.waiting -= 1
        try:
            return ticket()
        except Exception as error:
            if isinstance(error, FakeRay.RayError):
                raise
            raise FakeRay.RayTaskError(error) from error


@pytest.fixture
def fake_ray(monkeypatch):
    fake = FakeRay()
    fake.__spec__ = types.SimpleNamespace(name="ray")
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.setitem(sys.modules, "ray.exceptions", fake)
    for name in workers.RAY_SETTINGS:
        monkeypatch.setenv(name, "0")
    return fake


def test_running_tasks_are_bounded_by_the_clusters_processors(fake_ray):
    results = map_in_order(math.sqrt, itertools.count(), 1, ray_address="local")
    assert [next(results) for _ in range(30)] == [math.sqrt(n) for n in range(30)]
    assert fake_ray.peak == 2 * IN_FLIGHT


def test_leaving_early_cancels_submitted_jobs(fake_ray):
    results = map_in_order(math.sqrt, range(20), 1, ray_address="local")
    next(results)
    results.close()
    assert len(fake_ray.cancelled) == 2 * IN_FLIGHT - 1


def test_a_tasks_own_error_keeps_its_type(fake_ray):
    def refuse(job):
        raise InputError(f"{job}: no sound")

    with pytest.raises(InputError, match=r"^a: no sound$"):
        list(map_in_order(refuse, "ab", 1, ray_address="local"))


def test_a_worker_lost_for_good_is_an_error_in_one_line(fake_ray):
    def crash(job):
        raise FakeRay.RayError("The worker died\nand much more")

    with pytest.raises(DmmError, match=r"^Ray at local lost a job for good \(The worker died\)"):
        list(map_in_order(crash, "ab", 1, ray_address="local"))


BY_RAY = """
import os, sys
from pathlib import Path
from dmm.workers import map_in_order
from dmm.errors import DmmError, InputError
from dmm.files import write_text

def once_dying(n):
    if n % 3 == 0 and not (dying := out / f"{n}.dying").exists():
        dying.touch()
        os.kill(os.getpid(), 9)
    write_text(out / f"{n}.txt", str(n))
    return n

def refuse(n):
    raise InputError(f"{n}: no sound")

out = Path(sys.argv[1])
print(*map_in_order(once_dying, range(10), 2, ray_address="local"))
for function in (refuse, os._exit):
    try:
        list(map_in_order(function, [3], 2, ray_address="local"))
    except DmmError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_ray_neither_loses_nor_repeats_jobs_when_its_workers_are_killed(tmp_path):
    command = [sys.executable, "-c", BY_RAY, tmp_path]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    results, refused, lost = found.stdout.splitlines()
    assert results == "0 1 2 3 4 5 6 7 8 9"
    assert refused == "InputError 3: no sound"
    assert lost.startswith("DmmError Ray at local lost a job for good (")
    assert found.stderr == ""
    assert len(list(tmp_path.glob("*.dying"))) == 4
    files = {p.name: p.read_text() for p in tmp_path.iterdir() if p.suffix != ".dying"}
    assert files == {f"{n}.txt": str(n) for n in range(10)}
