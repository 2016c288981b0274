import os
import shutil
import signal
import subprocess
import sys

import pytest

from dmm.errors import DmmError, InputError
from dmm.files import whole_file, whole_files, whole_folder, write_text
from dmm.files.parts import left_behind_parts


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failure_leaves_every_earlier_file(tmp_path):
    paths = [tmp_path / name for name in ("a.wav", "a.png", "a.json")]
    for path in paths:
        path.write_text(f"earlier {path.name}")
    with pytest.raises(KeyboardInterrupt), whole_files(*paths) as parts:
        parts[0].write_text("new")
        raise KeyboardInterrupt
    assert [path.read_text() for path in paths] == [f"earlier {path.name}" for path in paths]
    assert len(names(tmp_path)) == 3


def test_ctrl_c_between_two_renames_waits_for_the_last(tmp_path, monkeypatch):
    replace, calls = os.replace, []

    def interrupted(part, path):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        replace(part, path)

    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_files(tmp_path / "a", tmp_path / "b") as parts:
        for part in parts:
            part.write_text("new")
    assert names(tmp_path) == ["a", "b"]


def test_many_threads_may_write_one_file(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda n: write_text(tmp_path / "a.txt", str(n) * 1000), range(10)))
    assert names(tmp_path) == ["a.txt"] and len(set((tmp_path / "a.txt").read_text())) == 1


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_that_a_library_writes_for_the_owner_alone_follow_the_umask(
    tmp_path, umask, expected
):
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "a") as part:
            os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
        with whole_folder(tmp_path / "out") as part:
            (part / "deep").mkdir()
            os.close(os.open(part / "deep" / "b", os.O_CREAT | os.O_WRONLY, 0o600))
    finally:
        os.umask(before)
    files = (tmp_path / "a", tmp_path / "out" / "deep" / "b")
    assert [file.stat().st_mode & 0o777 for file in files] == [expected] * 2
    assert names(tmp_path) == ["a", "out"]


def test_a_folder_replaces_the_earlier_one_only_when_complete(tmp_path):
    with whole_folder(tmp_path / "out") as part:
        (part / "a").write_text("1")
    with pytest.raises(ValueError), whole_folder(tmp_path / "out") as part:
        raise ValueError
    assert (tmp_path / "out" / "a").read_text() == "1" and names(tmp_path) == ["out"]
    with whole_folder(tmp_path / "out") as part:
        (part / "b").write_text("2")
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["b"]


KILLED = """
import os, signal, sys
from pathlib import Path
from dmm.files import whole_file
with whole_file(Path(sys.argv[1])) as part:
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_part_file_of_a_killed_process_is_swept_by_the_next_write(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "model.safetensors"])
    assert done.returncode == -signal.SIGKILL
    assert len(list(left_behind_parts(tmp_path))) == 1
    write_text(tmp_path / "other.txt", "whole")
    assert names(tmp_path) == ["other.txt"]


def test_the_scratch_folder_of_a_killed_process_is_swept_by_the_next_write(tmp_path):
    script = (
        "import os, signal, sys; from pathlib import Path; from dmm.files import scratch_folder\n"
    )
    script += "with scratch_folder(Path(sys.argv[1])) as folder:\n"
    script += "    (folder / 'graph').write_bytes(b'x'); os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", script, tmp_path], check=False)
    assert len(names(tmp_path)) == 1
    write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == ["a.txt"]


def test_part_files_of_running_processes_stay(tmp_path):
    (tmp_path / f".a.{os.getppid()}.part.wav").write_text("half")
    with whole_file(tmp_path / "b.txt") as part:
        part.write_text("whole")
        assert not list(left_behind_parts(tmp_path))
    assert names(tmp_path) == [f".a.{os.getppid()}.part.wav", "b.txt"]


@pytest.mark.parametrize("path", ["a" * 300, "file/below", "folder"])
def test_a_path_that_cannot_be_written_is_one_line(tmp_path, path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DmmError) as error:
        write_text(tmp_path / path, "text")
    assert "\n" not in str(error.value) and path.partition("/")[0][:60] in str(error.value)


def test_a_folder_is_not_replaced_by_a_file(tmp_path):
    with pytest.raises(InputError, match="a folder; name a file"):
        write_text(tmp_path, "text")


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("library", ["torch", "safetensors"])
def test_a_write_that_fails_inside_a_library_is_one_line(tmp_path, library):
    import resource

    import torch
    from safetensors.torch import save_file

    from dmm.fitting.state import save_state

    def write(path):
        if library == "torch":
            network = torch.nn.Linear(1000, 1000)
            save_state(path, {}, 1, network, network, torch.optim.SGD(network.parameters()))
        else:
            with whole_file(path) as part:
                save_file({"a": torch.zeros(1_000_000)}, part)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(DmmError, match="larger than this file system"):
            write(tmp_path / "a.x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not names(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
def test_a_copy_of_a_folder_that_does_not_fit_is_one_line(tmp_path):
    import resource

    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    for name in "ab":
        (source / name).write_bytes(b"\1" * 10_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(DmmError, match=f"^{out}: larger than"), whole_folder(out) as part:
            shutil.copytree(source, part, dirs_exist_ok=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
