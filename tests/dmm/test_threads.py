import os
import subprocess
import sys

import pytest

from dmm.commands import doctor
from dmm.threads import USER_VARIABLES

CHILD = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', {!r}], check=True)"
PRINT = "import os; print([os.environ.get(n) for n in ('GOMP_SPINCOUNT', 'KMP_BLOCKTIME')])"


def variables_after(code: str, **own: str) -> str:
    """What ``code`` prints when run with ``own`` as the only OpenMP variables."""
    clean = {name: value for name, value in os.environ.items() if name not in USER_VARIABLES}
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env=clean | own, text=True).strip()


def test_importing_dmm_limits_spinning_here_and_in_child_processes():
    limits = "['10000', '1']"
    assert variables_after(f"import dmm; {PRINT}") == limits
    assert variables_after(f"import dmm; {CHILD.format(PRINT)}") == limits


@pytest.mark.parametrize("name", USER_VARIABLES)
def test_a_variable_of_the_user_leaves_all_as_it_was(name):
    own = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_LIBRARY": "throughput"}.get(name, "7")
    wanted = [own if name == known else None for known in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME")]
    assert variables_after(f"import dmm; {PRINT}", **{name: own}) == str(wanted)


def test_torch_reads_the_limit():
    code = "import dmm, torch; torch.set_num_threads(2); torch.ones(2000, 2000).sum()"
    clean = {name: value for name, value in os.environ.items() if name not in USER_VARIABLES}
    shown = subprocess.run(
        [sys.executable, "-c", code], env=clean | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    if "GOMP_SPINCOUNT" not in shown:
        pytest.skip("torch uses another OpenMP than GNU's")
    assert "GOMP_SPINCOUNT = '10000'" in shown


@pytest.mark.parametrize(("load", "is_busy"), [(1.5, False), (8.0, True)])
def test_doctor_reports_a_load_above_the_cores(monkeypatch, load, is_busy):
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(doctor.os, "getloadavg", lambda: (load, 0.0, 0.0))
    (part,) = doctor._check_cpu()
    assert part.is_fine and ("busy, so all takes 2.0 times longer" in part.found) == is_busy
