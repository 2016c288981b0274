"""What do the checks of ``dmm.files`` cost? Reading 100,000 rows, times reading them unchecked.

``python benchmarks/manifest_reading.py [--rows 100000] [--rounds 7]`` writes a manifest of random
values and the same rows as JSON lines. It reads each with checks and without in alternating order
in one process, and prints one row of ratios of CPU time: medians over rounds, ranges in brackets.
Without checks, a manifest is read by pyarrow alone, as before ``dmm.files``, and a line of JSON by
``json.loads``. ``--header`` prints the table's header too.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from provenance import provenance

from dataset_tools.dataset import read_manifest
from dataset_tools.manifest_schema import SCHEMA
from dmm.files import read_jsonl

HEADER = (
    "| date | commit | machine | seed | rows | rounds | manifest | s | JSON lines | s |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)
SEED = 0


def main() -> None:
    """Print one Markdown row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--header", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.rows)
        path, lines = folder / "manifest.parquet", folder / "rows.jsonl"
        cells = compare(lambda: read_manifest(folder), lambda: unchecked(path), options.rounds)
        cells += compare(
            lambda: read_jsonl(lines),
            lambda: [json.loads(line) for line in lines.read_bytes().split(b"\n") if line],
            options.rounds,
        )
    if options.header:
        print(HEADER)
    found = [*provenance("1 thread"), SEED, options.rows, options.rounds, *cells]
    print("|", " | ".join(map(str, found)), "|")


def unchecked(path: Path) -> tuple[list[dict[str, object]], list[str]]:
    """A manifest's rows by pyarrow, and the columns of another type."""
    table = pq.read_table(path)
    wrong = [c.name for c in SCHEMA if table.schema.field(c.name).type != c.type]
    return table.to_pylist(), wrong


def compare(checked: Callable[[], object], plain: Callable[[], object], rounds: int) -> list[str]:
    """Ratio of the CPU times of two functions, and the seconds of the first."""
    assert checked() == plain(), "they read the same"
    ratios, seconds = [], []
    for number in range(rounds):
        pair = [(checked, []), (plain, [])]
        for read, taken in pair[:: 1 if number % 2 else -1]:
            start = time.process_time()
            read()
            taken.append(time.process_time() - start)
        ours, theirs = pair[0][1][0], pair[1][1][0]
        ratios.append(ours / theirs)
        seconds.append(ours)
    span = f"{statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})"
    return [span, f"{statistics.median(seconds):.2f}"]


def write(folder: Path, rows: int) -> None:
    """A manifest of random values of every column's type, and its rows as JSON lines."""
    rng = np.random.default_rng(SEED)
    words = [f"word{n}" for n in range(2000)]

    def column(name: str, kind: pa.DataType) -> pa.Array:
        if name == "id":
            return pa.array([f"track-{n:06d}-{n % 40:02d}" for n in range(rows)])
        if name == "split":
            return pa.array(rng.choice(["train", "val", "test"], rows).tolist())
        if pa.types.is_string(kind):
            return pa.array([" ".join(chosen) for chosen in rng.choice(words, (rows, 6))])
        if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            return pa.array(rng.random(rows) * 100).cast(kind, safe=False)
        if pa.types.is_list(kind):
            return pa.array([[]] * rows, kind)
        return pa.nulls(rows, kind)

    table = pa.table([column(f.name, f.type) for f in SCHEMA], schema=SCHEMA)
    pq.write_table(table, folder / "manifest.parquet")
    lines = (json.dumps(row) for row in table.to_pylist())
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
