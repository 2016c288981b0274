"""Download a public collection of music: resumable, checked by MD5, safely unpacked."""

import errno
import hashlib
import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path

from dmm.errors import DmmError, InputError
from dmm.files import folder_lock, open_bytes, read_json, write_text
from dmm.progress import progress_bar

from .public_collections import Collection, RemoteFile
from .unpack import unpack

MEGABYTE = 10**6
TRIES = 5
"""Failed attempts in a row, none of which received a byte, after which a download ends."""
RECEIPT = "fetched.json"
"""List of the complete files: their page, licence and checksums."""
TEMPORARY = {408, 425, 429, 500, 502, 503, 504}
"""HTTP codes of temporary failures, after which the download is tried again."""


def fetch_collection(
    collection: Collection, out: Path, *, audio: bool = True, pause_s: float = 2.0
) -> list[Path]:
    """Download a collection into ``out``; returns the paths of its files that are no archives.

    Without ``audio`` archives are left out. Complete files are not downloaded again, so they may
    also be put there by hand. ``pause_s`` is the wait after a failure and doubles with every
    further one. DmmError for an unreachable server, a full disk, a wrong checksum, or another
    command that writes to ``out``.
    """
    wanted = [file for file in collection.files if audio or not file.is_archive]
    with folder_lock(out):
        _fetch(collection, wanted, out, pause_s)
    return [out / file.name for file in wanted if not file.is_archive]


def _fetch(collection: Collection, wanted: Sequence[RemoteFile], out: Path, pause_s: float) -> None:
    done = _completed_files(out)
    todo = [file for file in wanted if not _is_done(out, file, done)]
    _check_space(out, todo)
    for file in todo:
        path = out / file.name
        if not _is_intact(path, file):
            _download(collection, file, out, pause_s)
        if file.is_archive:
            unpack(path, out)
        done[file.name] = file.md5
        write_text(out / RECEIPT, json.dumps(_receipt_json(collection, done), indent=1) + "\n")
        if file.is_archive:
            path.unlink()


def _receipt_json(collection: Collection, done: dict[str, str]) -> dict[str, object]:
    return {"page": collection.page, "licence": collection.licence, "md5": done}


def _completed_files(out: Path) -> dict[str, str]:
    """MD5 by name of the files that an earlier run completed."""
    try:
        return dict(read_json(out / RECEIPT)["md5"])
    except (InputError, KeyError, TypeError, ValueError):
        return {}


def _is_done(out: Path, file: RemoteFile, done: dict[str, str]) -> bool:
    """Whether an earlier run completed a file, or unpacked an archive."""
    if done.get(file.name) != file.md5:
        return False
    path = out / file.name
    return file.is_archive or (path.is_file() and path.stat().st_size == file.size)


def _check_space(out: Path, todo: list[RemoteFile]) -> None:
    """Raise DmmError if the remaining files do not fit on the disk; archives count twice."""
    there = {
        f: max(_size_or_zero(out / f.name), _size_or_zero(_partial_path(out, f))) for f in todo
    }
    needed = sum(f.size * (1 + f.is_archive) - min(there[f], f.size) for f in todo)
    free = shutil.disk_usage(next(p for p in [out, *out.resolve().parents] if p.exists())).free
    if needed > free:
        raise DmmError(
            f"{out}: {needed / MEGABYTE:.0f} MB are needed, {free / MEGABYTE:.0f} MB are free; "
            "free some space or name another disk (--out)"
        )


def _size_or_zero(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _partial_path(out: Path, file: RemoteFile) -> Path:
    return out / f"{file.name}.part"


def _is_intact(path: Path, file: RemoteFile) -> bool:
    """Whether a file has the size and MD5 of the collection's."""
    return _size_or_zero(path) == file.size and _md5(path) == file.md5


def _md5(path: Path) -> str:
    with open_bytes(path) as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _download(collection: Collection, file: RemoteFile, out: Path, pause_s: float) -> None:
    """Download the rest of ``NAME.part``, check it, and rename it to ``NAME``."""
    part = _partial_path(out, file)
    url = collection.file_url.replace("NAME", file.name)
    if _size_or_zero(part) > file.size:
        part.unlink()
    with progress_bar(file.name, -(-file.size // MEGABYTE)) as advance:
        shown = 0
        failures = 0
        while (before := _size_or_zero(part)) < file.size:
            advance(before // MEGABYTE - shown, note="MB")
            shown = before // MEGABYTE
            try:
                _append_from_server(url, part, file.size, lambda n: advance(n, note="MB"))
            except urllib.error.HTTPError as error:
                if error.code not in TEMPORARY:
                    raise DmmError(
                        _unreachable_message(collection, out, f"HTTP {error.code}")
                    ) from error
                reason = f"HTTP {error.code}"
            except (HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
                reason = str(getattr(error, "reason", error))
                if isinstance(getattr(error, "reason", None), socket.gaierror):  # no network
                    raise DmmError(_unreachable_message(collection, out, reason)) from error
            else:
                reason = "the connection keeps breaking"
            failures = 0 if _size_or_zero(part) > before else failures + 1
            shown = _size_or_zero(part) // MEGABYTE
            if failures >= TRIES:
                raise DmmError(_unreachable_message(collection, out, reason))
            if failures:
                time.sleep(pause_s * 2 ** (failures - 1))
    if (md5 := _md5(part)) != file.md5:
        part.unlink()
        raise DmmError(
            f"{file.name}: MD5 {md5} is not the record's {file.md5}; it was removed; run again"
        )
    part.replace(out / file.name)


def _append_from_server(url: str, part: Path, size: int, advance: Callable[[int], None]) -> None:
    """Append to ``part`` the bytes that follow it on the server, until the connection ends."""
    start = _size_or_zero(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        resumed = answer.status == 206
        start = start if resumed else 0
        with part.open("ab" if resumed else "wb") as opened:
            while block := answer.read(min(MEGABYTE, size - start + 1)):
                _write_unless_full(opened.write, block, part)
                advance((start + len(block)) // MEGABYTE - start // MEGABYTE)
                start += len(block)


def _write_unless_full(write: Callable[[bytes], object], block: bytes, part: Path) -> None:
    """Call ``write`` with a block; DmmError if the disk is full."""
    try:
        write(block)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DmmError(f"{part}: the disk is full; free some space and run again") from error
        raise


def _unreachable_message(collection: Collection, out: Path, reason: str) -> str:
    names = ", ".join(file.name for file in collection.files)
    return (
        f"{collection.page} cannot be reached ({reason}); run again later, or download {names} "
        f"there with a browser, put them into {out} and run this again to check and unpack them"
    )
