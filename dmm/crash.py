"""Report of an unexpected error: one line for the user, and a file without user data."""

import os
import platform
import sys
import time
import traceback
from importlib import metadata
from pathlib import Path

EXIT_CODE = 70
"""``EX_SOFTWARE`` of BSD's sysexits.h."""
VARIABLE = "DMM_TRACEBACK"
"""Environment variable that shows the traceback instead."""
PACKAGES = ("diffusion-minimidi", "torch", "diffusers", "transformers", "numpy", "pillow")


def report_crash(error: BaseException, command: str, folder: Path | None = None) -> str:
    """Write ``dmm-crash-TIME-ID.txt`` in ``folder`` or here; returns a line for the user.

    The report has the command's name, versions and the places in the code. It leaves out the
    arguments and the error's message, which may hold names, paths or prompts.
    """
    if os.environ.get(VARIABLE):
        traceback.print_exception(error)
    what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    name = f"dmm-crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    path = (folder or Path.cwd()) / name
    try:
        path.write_text(_report_text(error, command), encoding="utf-8")
    except OSError:
        return f"internal fault, please report it with {VARIABLE}=1: {what}"
    return f"internal fault, please report it with {path}: {what}"


def _report_text(error: BaseException, command: str) -> str:
    versions = [f"{name} {_version(name)}" for name in PACKAGES]
    lines = [
        f"dmm {command}",
        f"Python {platform.python_version()}, {platform.platform()}",
        *versions,
        "",
        *_frames(error),
        f"{type(error).__module__}.{type(error).__qualname__} (its message is left out: it may "
        f"hold your data; {VARIABLE}=1 shows it)",
    ]
    return "\n".join(lines) + "\n"


def _frames(error: BaseException) -> list[str]:
    """A line for every frame: file relative to ``sys.path``, line and function."""
    found = []
    for frame in traceback.extract_tb(error.__traceback__):
        place = next((p for p in sys.path if p and frame.filename.startswith(p)), "")
        shown = frame.filename.removeprefix(place).lstrip("/\\")
        found.append(f"  {shown}:{frame.lineno} in {frame.name}")
    return found


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
