"""``dmm doctor``: what this machine has, what is missing, and the command that mends it."""

import json
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..errors import DmmError
from ..files import sha256_file

FREE_GB_FOR_SDXL = 20


@dataclass(frozen=True)
class Finding:
    """One row: what was looked at, what was found, and what to do if it is not enough."""

    what: str
    found: str
    is_fine: bool = True
    remedy: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Look at Python, torch, GPU, sd-scripts, sound decoding, models and disk; exit 1 if one fails.

    Example: dmm doctor
    """
    findings = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print_table(findings)
    if not all(finding.is_fine for finding in findings):
        raise typer.Exit(1)


def examine() -> list[Finding]:
    """Every finding, in the order in which a new user meets the parts."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python,
        _torch,
        _engine,
        _sound,
        _model,
        _disk,
    )
    return [finding for check in checks for finding in check()]


def _python() -> Iterator[Finding]:
    fine = (3, 11) <= sys.version_info < (3, 13)
    yield Finding("Python", platform.python_version(), fine, "use 3.11 or 3.12: uv python install")


def _torch() -> Iterator[Finding]:
    import torch

    yield Finding("torch", torch.__version__)
    if not torch.cuda.is_available():
        yield Finding(
            "GPU", "none: nano trains on the CPU; SDXL needs CUDA with 12 GB or more", True
        )
        return
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        memory_gb = card.total_memory / 2**30
        yield Finding(
            f"GPU {number}",
            f"{card.name}, {memory_gb:.0f} GB",
            memory_gb > 11,
            "SDXL LoRA training needs 12 GB or more; nano trains on any",
        )


def _engine() -> Iterator[Finding]:
    from ..engine import checkout_folder, find_engine, read_pin

    yield Finding("git", shutil.which("git") or "missing", bool(shutil.which("git")), "install git")
    try:
        yield Finding("sd-scripts", f"{read_pin().tag} at {find_engine()}")
    except DmmError as error:
        remedy = str(error).rpartition("; ")[2]
        yield Finding("sd-scripts", f"not usable at {checkout_folder()}", False, remedy)


def _sound() -> Iterator[Finding]:
    """Nothing here calls ffmpeg; what libsndfile cannot read goes through PyAV's own libraries."""
    import av
    import soundfile

    formats = soundfile.available_formats()
    known = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name in formats]
    version = soundfile.__libsndfile_version__
    yield Finding(
        "libsndfile",
        f"{version}: {', '.join(known)}",
        len(known) == 4,
        "pip install -U soundfile (MP3 needs libsndfile 1.1)",
    )
    yield Finding("PyAV", f"{av.__version__}: m4a, aac and others, no ffmpeg program needed")


def _model() -> Iterator[Finding]:
    from .demo import NANO

    if NANO.is_file():
        yield Finding("nano model", f"{_short(NANO)}, sha256 {sha256_file(NANO)[:12]}")
    else:
        yield Finding("nano model", "missing", False, "git checkout models/nano")


def _disk() -> Iterator[Finding]:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    yield Finding(
        "disk",
        f"{free_gb:.0f} GB free here",
        free_gb > FREE_GB_FOR_SDXL,
        f"free some space: SDXL, its dataset and its states take about {FREE_GB_FOR_SDXL} GB",
    )


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _print_table(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "part", "found", "to mend it", box=None, pad_edge=False)
    for finding in findings:
        mark = "[green]ok[/]" if finding.is_fine else "[red]no[/]"
        table.add_row(mark, finding.what, finding.found, "" if finding.is_fine else finding.remedy)
    Console().print(table)
