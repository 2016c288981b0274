"""Files are read and parsed by ``dmm.files`` only: each other reader has its reason here."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("dmm", "dmm_ext", "dataset_tools", "eval", "bench")
PARSERS = {"json.load", "json.loads", "pq.read_table", "pq.ParquetFile"}
READERS = {"read_text", "read_bytes", "open"}
ALLOWED = {
    "dmm/files": "the one place",
    "dmm/songs/mastering.py": "writes a part file that libsndfile reads back",
    "dmm/checkpoints/tensorfile.py": "writes a part file block by block",
    "dmm/codec/image.py": "Pillow's open, of a file opened by dmm.files",
    "dmm/sound/decoding.py": "FFmpeg's open, of a file checked by dmm.files",
    "dmm/commands/ui.py": "opens a browser",
    "dmm/export/writing.py": "writes a shard of a part folder",
    "dmm/commands/web.py": "opens a browser",
    "dmm/fitting/loop.py": "appends a line to a log",
    "dmm/fitting/state.py": "torch writes to a part file",
    "dmm_ext/metrics_log.py": "appends a line to a log",
    "dataset_tools/unpack.py": "the member of an archive, and a part file to write",
    "dataset_tools/fetch.py": "appends to a download",
    "dataset_tools/checks/files.py": "Pillow's open, of bytes read by dmm.files",
    "dataset_tools/sources/parquet.py": "reads one row at a time",
    "dataset_tools/sources/row_sound.py": "an address on the Hub",
    "bench/vocals/net.py": "appends to a part file",
    "dmm/pretraining/nano.py": "Pillow's open, of images that dmm data build wrote",
}
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def reading_calls(tree):
    """Calls that read or parse a file, by their last names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in PARSERS or name == "open" or name.startswith("tomllib."):
                yield name
            elif isinstance(node.func, ast.Attribute) and node.func.attr in READERS:
                yield name


def allowed(path):
    name = path.relative_to(ROOT).as_posix()
    return any(name == place or name.startswith(f"{place}/") for place in ALLOWED)


def test_no_other_module_reads_files():
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in FILES
        if not allowed(path)
        for name in reading_calls(ast.parse(path.read_text(encoding="utf-8")))
        if not name.startswith(("read_text", "read_bytes", "os.open"))
    }
    assert not found, f"use dmm.files instead: {sorted(found)}"


@pytest.mark.parametrize("place", [place for place in ALLOWED if place.endswith(".py")])
def test_every_exception_is_still_needed(place):
    assert list(reading_calls(ast.parse((ROOT / place).read_text(encoding="utf-8"))))
