"""The command line of ``dmm data``: help, examples, and how fast it appears."""

import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

from dataset_tools.choices import SOURCE_NAMES
from dataset_tools.cli import app
from dataset_tools.sources.catalogue import SOURCES

COMMANDS = ["build", "describe", "fetch", "check", "stats", "show", "fidelity", "captions diff"]


@pytest.mark.parametrize("command", [*COMMANDS, "captions stats"])
def test_help_of_every_command_ends_in_an_example(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    after_panels = result.stdout.rpartition("╯")[2].strip()
    assert result.exit_code == 0 and after_panels.startswith(f"Example: dmm data {command} ")


def test_build_shows_ten_options_before_its_panels():
    group = typer.main.get_command(app)
    options = group.commands["build"].params
    first = [option.name for option in options if not option.rich_help_panel]
    assert len(first) == 10 and first[:3] == ["out", "source", "input"] and len(options) == 48


def test_help_imports_neither_the_build_nor_heavy_packages():
    heavy = "{'torch', 'scipy', 'pyarrow', 'numba', 'dataset_tools.building.build'}"
    code = f"import sys, dataset_tools.cli; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_the_help_lists_every_source():
    assert tuple(SOURCES) == SOURCE_NAMES
