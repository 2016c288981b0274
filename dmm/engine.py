"""Clone and find the training engine sd-scripts, at a pinned commit (``dmm setup``).

The clone is shallow, partial and sparse: without images and other large folders, a few megabytes.
The variable ``DMM_SD_SCRIPTS`` names another folder for it, such as an existing checkout. Nothing
in it is ever edited.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .errors import EngineError
from .files import read_toml

ROOT = Path(__file__).parents[1]
CHECKOUT = ROOT / "third_party" / "sd-scripts"
VARIABLE = "DMM_SD_SCRIPTS"


@dataclass(frozen=True)
class Pin:
    """Source of the engine, and the commit that our hooks are written for."""

    url: str
    tag: str
    commit: str
    leave_out: tuple[str, ...]
    """Folders that are not cloned."""


def read_pin() -> Pin:
    """The pin in ``third_party/sd-scripts.toml``."""
    pin = read_toml(ROOT / "third_party" / "sd-scripts.toml")
    return Pin(pin["url"], pin["tag"], pin["commit"], tuple(pin["leave_out"]))


def checkout_folder() -> Path:
    """Folder where the engine is, or would be cloned to."""
    return Path(os.environ.get(VARIABLE) or CHECKOUT)


def find_engine() -> Path:
    """The engine's folder; EngineError if it is missing or not at the pinned commit."""
    pin, folder = read_pin(), checkout_folder()
    remedy = "delete the folder and run: dmm setup"
    if os.environ.get(VARIABLE):  # the user's own folder
        remedy = f"check out {pin.tag} there, or unset {VARIABLE}"
    if not folder.exists():
        remedy = "run: dmm setup"
    if not (folder / "sdxl_train_network.py").is_file():
        raise EngineError(f"{folder}: sd-scripts is not there; {remedy}")
    found = _git("-C", str(folder), "rev-parse", "HEAD")
    if found != pin.commit:
        raise EngineError(
            f"{folder}: sd-scripts is at commit {found[:12]}, the hooks need {pin.commit[:12]} "
            f"({pin.tag}); {remedy}"
        )
    return folder


def set_up_engine() -> Path:
    """Clone the engine if its folder is missing; returns the folder, as ``find_engine``."""
    folder = checkout_folder()
    if not folder.exists():
        _clone(read_pin(), folder)
    return find_engine()


def engine_environment(engine: Path) -> dict[str, str]:
    """Environment variables with sd-scripts and ours on PYTHONPATH, and Python's warnings off."""
    paths = [str(engine), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "ignore"}


def _clone(pin: Pin, folder: Path) -> None:
    """Clone beside the final folder, then rename: an incomplete clone never has the final name."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    folder.parent.mkdir(parents=True, exist_ok=True)
    patterns = ["/*", *(f"!/{name}/" for name in pin.leave_out)]
    clone = ["clone", "--quiet", "--depth", "1", "--branch", pin.tag, "--filter=blob:none"]
    quiet = ["-c", "advice.detachedHead=false"]
    try:
        _git(*quiet, *clone, "--sparse", pin.url, str(partial))
        _git("-C", str(partial), "sparse-checkout", "set", "--no-cone", *patterns)
        partial.rename(folder)
    except EngineError as error:
        raise EngineError(
            f"sd-scripts cannot be cloned from {pin.url} ({error}); connect and run dmm setup, or "
            f"clone tag {pin.tag} elsewhere and set {VARIABLE} to that folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _git(*arguments: str) -> str:
    """Run git and return its output; EngineError with its last line if it fails."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, env=environment, check=False
        )
    except FileNotFoundError as error:
        raise EngineError("git is not installed; install git and run again") from error
    if done.returncode:
        raise EngineError((done.stderr.strip().splitlines() or ["git failed"])[-1])
    return done.stdout.strip()
