import os
import signal
import subprocess
import sys

import pytest

from dmm.errors import DmmError, InputError
from dmm.files import folder_lock, output_lock

HOLDER = """
import sys, time
from pathlib import Path
from dmm.files import folder_lock
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of the folder."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_by_name(holder, tmp_path):
    with pytest.raises(InputError, match=f"process {holder.pid}"), folder_lock(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with folder_lock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_shared_lock_lasts_until_the_other_process_ends(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with folder_lock(tmp_path) as lock:
        lock.share_with(other.pid)
        text = lock.path.read_text()
    lock.path.write_text(text.replace(str(os.getpid()), "999999999"))
    with pytest.raises(InputError, match=str(other.pid)), folder_lock(tmp_path):
        pass
    other.communicate(b"\n")
    with folder_lock(tmp_path):
        pass


def test_a_process_number_that_is_used_again_is_not_the_writer(tmp_path):
    lock = tmp_path / ".dmm.lock"
    with folder_lock(tmp_path):
        text = lock.read_text()
    lock.write_text(text)
    os.utime(lock, (0, 0))  # written before any process of today began
    with folder_lock(tmp_path):
        pass


def test_an_output_file_is_locked_beside_it(tmp_path):
    with (
        output_lock(tmp_path / "a.flac"),
        pytest.raises(InputError, match=r"a\.flac"),
        output_lock(tmp_path / "a.flac"),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{", "[]", '{"host": 1, "pids": [[]]}'])
def test_a_damaged_lock_is_stale_after_a_while(tmp_path, content):
    lock = tmp_path / ".dmm.lock"
    lock.write_text(content)
    with pytest.raises(InputError, match="just begun"), folder_lock(tmp_path):
        pass
    os.utime(lock, (0, 0))
    with folder_lock(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_full_disk_leaves_no_lock(tmp_path):
    import resource

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
    try:
        with pytest.raises(DmmError, match="larger than"), folder_lock(tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list(tmp_path.iterdir())
