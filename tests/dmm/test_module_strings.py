"""Modules named by strings: import-linter cannot see them, so each is resolved here."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module

import pytest

from dataset_tools.sources import SourceRequest
from dataset_tools.sources.catalogue import SOURCES
from dmm.cli import COMMANDS
from dmm.engine import ROOT
from dmm.registry import EMBEDDERS, METRICS

PACKAGES = ("dmm", "dmm_ext", "dataset_tools", "eval", "bench")
MODULE = re.compile(rf"({'|'.join(PACKAGES)})((\.\w+)+)(:\w+)?")
TARGETS = [*(target for target, _ in COMMANDS.values()), *EMBEDDERS.values(), *METRICS.values()]


@pytest.mark.parametrize("target", TARGETS)
def test_every_command_embedder_and_metric_is_where_its_string_says(target):
    module, attribute = target.split(":")
    assert callable(getattr(import_module(module), attribute))


@pytest.mark.parametrize("tracks", SOURCES.values(), ids=SOURCES)
def test_every_source_finds_its_module(tracks):
    assert isinstance(tracks(SourceRequest()), Iterator)


def names_modules(path):
    """Whether a source file has a string that is the name of one of our modules."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = MODULE.fullmatch(node.value)
            module = ROOT / found[1] / found[2][1:].replace(".", "/") if found else None
            if module and (module.is_dir() or module.with_suffix(".py").is_file()):
                return True
    return False


def test_no_other_file_names_modules_by_strings():
    found = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if names_modules(path)
    }
    assert found == {"dmm/cli.py", "dmm/registry.py"}
