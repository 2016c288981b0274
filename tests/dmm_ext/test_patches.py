"""Every replacement in the engine is listed, and the engine still has what is replaced."""

import ast
from pathlib import Path
from types import ModuleType

import pytest

import dmm_ext
from dmm_ext import patches

FILES = [path for path in Path(dmm_ext.__file__).parent.glob("*.py") if path.stem != "patches"]


@pytest.mark.parametrize("name", patches.REPLACED)
def test_a_listed_name_stands_in_the_engine_at_its_line(engine, name):
    source = patches.REPLACED[name]
    line = (engine / source.file).read_text(encoding="utf-8").splitlines()[source.line - 1]
    assert any(part in line for part in name.split(".")[1:]), line


def test_a_name_that_is_not_listed_is_refused():
    module = ModuleType("library.train_util")
    with (
        pytest.raises(AssertionError, match=r"train_util\.resize is replaced; list it"),
        patches.replaced(module, resize=None),
    ):
        pass


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_other_file_replaces_anything(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        imported = isinstance(node, ast.ImportFrom) and node.module == "unittest.mock"
        called = isinstance(node, ast.Name) and node.id == "setattr"
        assert not (imported or called), f"{file.name}:{node.lineno}"
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in filter(lambda target: isinstance(target, ast.Attribute), targets):
            method = isinstance(node.value, ast.Lambda) or target.attr == "__class__"
            assert not method, f"{file.name}:{node.lineno}"
