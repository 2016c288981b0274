import json
import os
import re
import shutil
import sys

import pytest

from dmm.errors import DmmError
from dmm.web import node, page

PACKAGES = """{"packages": {
    "": {"name": "dmm-player"},
    "node_modules/vite": {"version": "8.3.8", "integrity": "sha512-vite"},
    "node_modules/vitest": {"version": "4.1.12", "integrity": "sha512-vitest", "dev": true},
    "node_modules/fsevents": {"version": "2.3.3", "integrity": "sha512-mac", "optional": true}
}}"""
INSTALLED = '{"packages": {"node_modules/vite": {"integrity": "sha512-vite"}}}'
"""What npm writes at the end of an installation on Linux without the packages of tests."""


@pytest.fixture
def sources(tmp_path, monkeypatch):
    """Sources and a cache of their own."""
    folder = tmp_path / "player"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "main.ts").write_text("1")
    (folder / "package-lock.json").write_text(PACKAGES)
    (folder / "node_modules" / "vite").mkdir(parents=True)
    (folder / "node_modules" / ".package-lock.json").write_text(INSTALLED)
    monkeypatch.setattr(page, "SOURCES", folder)
    monkeypatch.setattr(page, "ROOT", tmp_path)
    tokens = tmp_path / "tokens.css"
    tokens.write_text(":root {}")
    monkeypatch.setattr(page, "TOKENS", tokens)
    monkeypatch.setenv("DMM_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def npm(monkeypatch):
    """What npm was asked to do; it builds a page of the sources themselves."""
    asked = []

    def run_npm(arguments, folder):
        asked.append(arguments[0])
        if arguments[0] == "run":
            out = arguments[arguments.index("--outDir") + 1]
            shutil.copytree(folder / "src", out, dirs_exist_ok=True)

    monkeypatch.setattr(page, "run_npm", run_npm)
    return asked


def test_the_page_is_built_once_and_again_after_a_change(sources, npm):
    first = page.built_page()
    assert page.built_page() == first and npm == ["run"]
    (sources / "src" / "main.ts").write_text("2")
    assert page.built_page() != first and npm == ["run", "run"]


def test_packages_are_fetched_again_where_the_lock_file_names_others(sources, npm):
    (sources / "package-lock.json").write_text(PACKAGES.replace("sha512-vite", "sha512-new"))
    page.built_page()
    assert npm == ["ci", "run"]


def test_packages_whose_installation_was_interrupted_are_fetched_again(sources, npm):
    (sources / "node_modules" / ".package-lock.json").unlink()
    page.built_page()
    assert npm == ["ci", "run"]


def test_pages_that_were_not_used_for_long_leave_the_cache(sources, npm):
    def built(text):
        (sources / "src" / "main.ts").write_text(text)
        return page.built_page()

    unused, used = built("1"), built("2")
    for folder in (unused, used):
        os.utime(folder, (0, 0))
    assert built("2") == used
    being_built = unused.with_name(f".{unused.name}.part")
    being_built.mkdir()
    new = built("3")
    assert [p for p in (unused, used, being_built, new) if p.exists()] == [used, being_built, new]


def test_a_build_that_fails_leaves_nothing(sources, monkeypatch, tmp_path):
    said = "error during build:\\nError: no such module"
    program = [sys.executable, "-c", f"print('x'); raise SystemExit('{said}')"]
    monkeypatch.setattr(node, "npm_command", lambda: program)
    with pytest.raises(DmmError, match="Error: no such module"):
        page.built_page()
    assert not any((tmp_path / "cache").glob("*"))


def test_the_page_is_built_with_the_packages_that_are_fetched_for_it():
    packages = json.loads((page.SOURCES / "package.json").read_text())["dependencies"]
    settings = (page.SOURCES / "vite.config.ts").read_text()
    imported = set(re.findall(r'from "([^".][^":]*)"', settings))
    assert imported and imported <= packages.keys()


def test_without_node_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(node, "find_spec", lambda _: None)
    monkeypatch.setattr(node.shutil, "which", lambda _: None)
    with pytest.raises(DmmError, match="uv run --extra web dmm web"):
        node.npm_command()


def test_the_page_states_its_policy_as_the_server_sends_it():
    policy = page.page_policy(page.SOURCES)
    assert policy.startswith("default-src 'none'") and "connect-src 'self';" in policy
