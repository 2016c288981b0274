"""A second command on the same output is refused by name, before it reads or loads anything."""

import os

import pytest

from dataset_tools.fetch import fetch_collection
from dataset_tools.inspection.fidelity import write_fidelity_report
from dataset_tools.public_collections import COLLECTIONS
from dmm.cli import run
from dmm.errors import InputError
from dmm.files import folder_lock, output_lock
from dmm.fusing.diffusers_folder import write_diffusers_folder
from dmm.registry import load_embedder
from dmm.web.site import write_site
from eval.report.report import write_report

TEACHER = "--teacher none.safetensors --dataset none --precision fp32"
COMMANDS = {
    "distill unet": f"--student {{student}} {TEACHER}",
    "distill text-encoder": f"--which 1 --preset {{student}} {TEACHER}",
    "distill decoder": f"--preset {{student}} {TEACHER}",
    "distill steps": "--model none.safetensors --preset {student} --precision fp32",
    "distill all": f"{{student}} {TEACHER}",
    "pretrain": "none --precision fp32",
    "export": "{model}",
}
FUNCTIONS = {
    "data fetch": lambda out: fetch_collection(COLLECTIONS["sdd"], out),
    "data fidelity": lambda out: write_fidelity_report(out, None, out),
    "eval report": lambda out: write_report(out, out, out, load_embedder("mel-stats")),
    "fuse --diffusers": lambda out: write_diffusers_folder(out, out),
    "web --build": lambda out: write_site(out, [], out),
}
LOCKED_INSIDE = {"distill all", "data fetch", "data fidelity", "eval report"}
"""What adds to a folder holds a lock in it; what replaces a file or folder, one beside it."""


@pytest.fixture
def refused(tmp_path):
    """``refused(name, write)`` is the reason why an output that another process writes fails."""

    def check(name, write):
        lock = folder_lock if name in LOCKED_INSIDE else output_lock
        out = tmp_path / ("out.safetensors" if name in COMMANDS else "out")
        with lock(out):
            return write(out)

    return check


@pytest.mark.parametrize("name", COMMANDS)
def test_a_second_command_is_refused(
    name, refused, tiny_checkpoint, student_preset, tmp_path, capsys
):
    (tmp_path / "student.toml").write_text(student_preset)
    words = COMMANDS[name].format(student=tmp_path / "student.toml", model=tiny_checkpoint)
    assert refused(name, lambda out: run([*f"{name} {words} --out".split(), str(out)])) == 1
    assert f"process {os.getpid()}) writes there" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_second_writer_is_refused(name, refused):
    with pytest.raises(InputError, match=rf"process {os.getpid()}\) writes there"):
        refused(name, FUNCTIONS[name])
