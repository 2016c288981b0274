"""The command ``dmm doctor``: what this machine has, what is missing, and how to fix it."""

import json
import os
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
from ..files.parts import left_behind_parts, size_of

FREE_GB_FOR_SDXL = 20
MOST_FOLDERS = 2000
"""Most folders that are searched for part files."""


@dataclass(frozen=True)
class PartCheck:
    """One row of the table: a part of the machine or set-up, its state, and a remedy."""

    what: str
    found: str
    is_fine: bool = True
    remedy: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="Store price=0.30/kWh, price=0.25/h or watts=350 for dmm train; repeatable.",
        ),
    ] = None,
) -> None:
    """Check Python, torch, GPU, sd-scripts, audio decoding, model and disk; exit code 1 on failure.

    Example: dmm doctor
    """
    if settings:
        _store_settings(settings)
        return
    checked = check_parts()
    if as_json:
        print(json.dumps([asdict(part) for part in checked], indent=2))
    else:
        _print_table(checked)
    if not all(part.is_fine for part in checked):
        raise typer.Exit(1)


def check_parts() -> list[PartCheck]:
    """Check all parts, in the order in which a new user needs them; returns the table's rows."""
    checks: tuple[Callable[[], Iterator[PartCheck]], ...] = (
        _check_python,
        _check_cpu,
        _check_torch,
        _check_what_fits,
        _check_engine,
        _check_sound,
        _check_model,
        _check_disk,
        _check_cost,
        _check_left_behind,
    )
    return [part for check in checks for part in check()]


def _store_settings(settings: list[str]) -> None:
    """Store ``key=value`` settings of this machine, and print the file's path.

    PresetError if they are unknown or cannot be used together.
    """
    from ..machine_settings import changed_machine_settings, settings_file, store_machine_settings
    from ..training.cost import Tariff

    with_these = changed_machine_settings(settings)
    Tariff.parse(with_these.get("price"), with_these.get("watts"))
    store_machine_settings(with_these)
    print(settings_file())


def _check_python() -> Iterator[PartCheck]:
    """Check the version of Python."""
    fine = (3, 11) <= sys.version_info < (3, 13)
    yield PartCheck(
        "Python", platform.python_version(), fine, "use 3.11 or 3.12: uv python install"
    )


def _check_cpu() -> Iterator[PartCheck]:
    """Report cores, and the last minute's load where the system knows it; never a failure."""
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    found = f"{cores} cores, {load:.1f} processes running or waiting"
    if load <= cores:
        yield PartCheck("CPU", found)
    else:
        yield PartCheck(
            "CPU", f"{found}: busy, so all takes {load / cores:.1f} times longer; end some of them"
        )


def _check_torch() -> Iterator[PartCheck]:
    """Check torch and its GPUs."""
    import torch

    yield PartCheck("torch", torch.__version__)
    if not torch.cuda.is_available():
        yield PartCheck("GPU", "none that torch can use: all runs on the CPU")
        return
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        memory_gb = card.total_memory / 2**30
        yield PartCheck(
            f"GPU {number}",
            f"{card.name}, {memory_gb:.0f} GB",
            memory_gb > 11,
            "SDXL LoRA training needs 12 GB or more; nano trains on any",
        )


def _check_what_fits() -> Iterator[PartCheck]:
    """Report the RAM, and the presets that fit into it and into the first GPU; never a failure."""
    import psutil

    from ..training.forecast.memory.estimate import GB, installed_gpu_bytes
    from ..training.forecast.needs import SLOW, presets_that_fit

    ram, gpu = psutil.virtual_memory(), installed_gpu_bytes()
    yield PartCheck("RAM", f"{ram.total / GB:.0f} GB, {ram.available / GB:.0f} GB of them free")
    fitting = presets_that_fit(ram.total, gpu)
    where = "at 512 x 512" if gpu else f"at 512 x 512 on the CPU, {SLOW}"
    large = f", and {', '.join(fitting)} {where}" if fitting else "; SDXL and SD 1.5 do not fit"
    yield PartCheck("what trains here", f"nano-cpu{large}")


def _check_engine() -> Iterator[PartCheck]:
    """Check git and the clone of sd-scripts."""
    from ..engine import checkout_folder, find_engine, read_pin

    yield PartCheck(
        "git", shutil.which("git") or "missing", bool(shutil.which("git")), "install git"
    )
    try:
        yield PartCheck("sd-scripts", f"{read_pin().tag} at {find_engine()}")
    except DmmError as error:
        remedy = str(error).rpartition("; ")[2]
        yield PartCheck("sd-scripts", f"not usable at {checkout_folder()}", False, remedy)


def _check_sound() -> Iterator[PartCheck]:
    """Check libsndfile, and report PyAV, which reads other formats without an ffmpeg program."""
    import av
    import soundfile

    formats = soundfile.available_formats()
    known = [name for name in ("WAV", "FLAC", "OGG", "MP3") if name in formats]
    version = soundfile.__libsndfile_version__
    yield PartCheck(
        "libsndfile",
        f"{version}: {', '.join(known)}",
        len(known) == 4,
        "pip install -U soundfile (MP3 needs libsndfile 1.1)",
    )
    yield PartCheck("PyAV", f"{av.__version__}: m4a, aac and others, no ffmpeg program needed")


def _check_model() -> Iterator[PartCheck]:
    """Check that the nano model is there."""
    from .demo import NANO

    if NANO.is_file():
        yield PartCheck("nano model", f"{_relative_to_here(NANO)}, sha256 {sha256_file(NANO)[:12]}")
    else:
        yield PartCheck("nano model", "missing", False, "git checkout models/nano")


def _check_disk() -> Iterator[PartCheck]:
    """Check the free space of the current folder's disk."""
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    yield PartCheck(
        "disk",
        f"{free_gb:.0f} GB free here",
        free_gb > FREE_GB_FOR_SDXL,
        f"free some space: SDXL, its dataset and its states take about {FREE_GB_FOR_SDXL} GB",
    )


def _check_cost() -> Iterator[PartCheck]:
    """Report the cost of an hour of training, by the stored price and watts; never a failure."""
    from ..training.cost import tariff_here

    rows = tariff_here().rows(3600.0)
    found = ", ".join(f"{amount} ({basis})" for _, amount, basis in rows)
    how = "not known; dmm doctor --set price=0.30/kWh --set watts=350 tells dmm train"
    yield PartCheck("an hour of training", found or how)


def _check_left_behind() -> Iterator[PartCheck]:
    """Report part files of killed commands, in this folder and two levels below, if any."""
    here = Path.cwd()
    folders = [here, *(path for depth in ("*", "*/*") for path in here.glob(depth))][:MOST_FOLDERS]
    parts = [part for folder in folders if folder.is_dir() for part in left_behind_parts(folder)]
    if parts:
        size_mb, first = sum(map(size_of, parts)) / 1e6, _relative_to_here(parts[0])
        yield PartCheck(
            "left behind",
            f"{len(parts)} part files of killed commands, {size_mb:.0f} MB: {first}; "
            "removed by the next command that writes there",
        )


def _relative_to_here(path: Path) -> str:
    """A path relative to the current folder, if it is in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _print_table(checked: list[PartCheck]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "part", "found", "remedy", box=None, pad_edge=False)
    for part in checked:
        mark = "[green]ok[/]" if part.is_fine else "[red]no[/]"
        table.add_row(mark, part.what, part.found, "" if part.is_fine else part.remedy)
    Console().print(table)
