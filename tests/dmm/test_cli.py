import re
import signal
import subprocess
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import pytest

from dmm.cli import COMMANDS, run

README = Path(__file__).parents[2] / "README.md"


def test_the_overview_imports_no_heavy_package():
    code = "import sys, dmm.cli; print(dmm.cli.overview()); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_stands_in_the_readme(name, capsys):
    assert run([name, "--help"]) == 0
    assert f"dmm {name}" in capsys.readouterr().out
    assert f"dmm {name}" in README.read_text(encoding="utf-8")


def test_the_version_is_that_of_the_package(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"dmm {version('diffusion-minimidi')}\n"


def test_a_misspelt_command_is_usage_error_with_a_hint(capsys):
    assert run(["trian"]) == 2
    assert "did you mean 'train'" in capsys.readouterr().err


def test_a_missing_argument_is_usage_error(capsys):
    assert run(["train"]) == 2


def test_ctrl_c_is_one_line_and_exit_code_1(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("dmm.engine.set_up_engine", interrupted)
    assert run(["setup"]) == 1
    assert capsys.readouterr().err.strip().endswith("run the same command again to go on")


def test_a_users_mistake_is_one_line_and_exit_code_1(capsys, tmp_path):
    clips = str(tmp_path / "clips")
    assert run(["generate", "x", "--model", str(tmp_path / "no.safetensors"), "--out", clips]) == 1
    assert re.fullmatch(r"error: .*no such checkpoint.*\n", capsys.readouterr().err)


def test_a_machine_without_cuda_is_not_warned_of_it(monkeypatch):
    def importing_diffusers():
        warnings.warn("CUDA is not available or torch_xla is imported.", stacklevel=1)

    monkeypatch.setattr("dmm.engine.set_up_engine", importing_diffusers)
    assert run(["setup"]) == 0  # here a warning is an error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "a.png"), "a.png: the disk is full; free some"),
        (PermissionError(13, "Permission denied", "a"), "a: permission denied; change"),
        (OSError(122, "Disk quota exceeded"), "your disk quota is used up; free some space"),
        (OSError(24, "Too many open files", "a"), "a: too many open files; raise the limit"),
    ],
)
def test_an_error_of_the_system_is_one_line(monkeypatch, capsys, error, line):
    def failing():
        raise error

    monkeypatch.setattr("dmm.engine.set_up_engine", failing)
    assert run(["setup"]) == 1
    assert capsys.readouterr().err.startswith(f"error: {line}")


def test_a_fault_of_ours_is_one_line_and_a_report_without_user_data(monkeypatch, capsys, tmp_path):
    def failing():
        raise KeyError("my secret prompt")

    monkeypatch.setattr("dmm.engine.set_up_engine", failing)
    monkeypatch.chdir(tmp_path)
    assert run(["setup"]) == 70
    (report,) = tmp_path.iterdir()
    line = capsys.readouterr().err
    assert line.startswith("error: internal fault, please report it with") and line.count("\n") == 1
    text = report.read_text()
    assert report.name.startswith("dmm-crash-") and str(report) in line
    assert "dmm setup" in text and "in failing" in text and "KeyError" in text
    assert "secret" not in text and str(Path.home()) + "/" not in text


def test_the_traceback_is_shown_on_request(monkeypatch, capsys, tmp_path):
    def failing():
        raise KeyError

    monkeypatch.setattr("dmm.engine.set_up_engine", failing)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMM_TRACEBACK", "1")
    assert run(["setup"]) == 70 and "in failing" in capsys.readouterr().err


def test_control_characters_of_names_do_not_reach_the_terminal(capsys):
    model = "\x1b[2J\u202emodel.safetensors"
    assert run(["generate", "a", "--model", model, "--out", "x"]) == 1
    shown = capsys.readouterr().err
    assert "\x1b" not in shown and "\\x1b[2J\\u202emodel" in shown


def dmm(*arguments, **options):
    return subprocess.Popen([sys.executable, "-m", "dmm", *arguments], **options)


def test_a_reader_that_ends_early_ends_the_command_quietly():
    with dmm("--help", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode in (0, 141)


@pytest.mark.parametrize("after_s", [0.05, 0.2])
def test_ctrl_c_at_the_start_is_quiet(after_s):
    with dmm("--help", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        shown = process.stderr.read().decode()
    assert not re.search(
        r"dmm/(cli|files|errors)", shown
    )  # before those Python itself may complain


OURS = [[name] for name, (target, _) in COMMANDS.items() if target.startswith("dmm.")]
OURS.remove(["distill"])
OURS += [["distill", part] for part in ("unet", "steps", "text-encoder", "decoder", "all")]


@pytest.mark.parametrize("words", OURS, ids=" ".join)
def test_help_ends_in_an_example_of_the_command(words, capsys):
    run([*words, "--help"])
    *_, last = re.split(r"\n\s*\n", capsys.readouterr().out.strip())
    assert last.strip().startswith(f"Example: dmm {' '.join(words)}")


def test_generate_shows_ten_options_first(capsys):
    run(["generate", "--help"])
    (first,) = re.findall(r"─ Options ─.*?╰", capsys.readouterr().out, re.S)
    assert len(re.findall(r"^│ [* ]  --", first, re.M)) == 10


def test_help_of_the_command_line_stays_without_rich():
    code = "import sys, dmm.cli; dmm.cli.overview(); assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
