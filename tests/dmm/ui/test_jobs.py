import threading

import pytest

from dmm.errors import InputError
from dmm.ui.jobs import Busy, Job, Jobs


@pytest.fixture
def jobs():
    jobs = Jobs()
    yield jobs
    jobs.cancel()
    jobs.wait(10.0)


def test_a_job_reports_progress_and_its_result(jobs):
    seen = []

    def work(job):
        job.report(1, "half")
        seen.append(job.as_json())
        return "2 made"

    jobs.start(Job("clips", 2), work)
    jobs.wait(10.0)
    assert (seen[0]["done"], seen[0]["note"], seen[0]["state"]) == (1, "half", "running")
    last = jobs.last.as_json()
    assert (last["done"], last["note"], last["state"]) == (2, "2 made", "done")


def test_only_one_job_runs_at_a_time(jobs):
    release = threading.Event()
    jobs.start(Job("clips", 1), lambda job: release.wait(10) and "")
    with pytest.raises(Busy, match="wait for it or cancel"):
        jobs.start(Job("song", 1), lambda job: "")
    release.set()
    jobs.wait(10.0)
    jobs.start(Job("song", 1), lambda job: "joined")
    jobs.wait(10.0)
    assert jobs.last.note == "joined"


def test_a_cancelled_job_stops_at_its_next_step(jobs):
    reached = threading.Event()

    def work(job):
        while True:
            job.report()
            reached.set()

    jobs.start(Job("clips", 9), work)
    assert reached.wait(10)
    jobs.cancel()
    jobs.wait(10.0)
    assert jobs.last.state == "cancelled" and jobs.last.done < 9


def test_a_failure_is_reported(jobs, capsys):
    def users(job):
        raise InputError("no such clip")

    def ours(job):
        raise ZeroDivisionError("oh")

    for work, expected in ((users, "no such clip"), (ours, "ZeroDivisionError: oh; the terminal")):
        jobs.start(Job("clips", 1), work)
        jobs.wait(10.0)
        assert jobs.last.state == "failed" and expected in jobs.last.note
    assert "Traceback" in capsys.readouterr().err
