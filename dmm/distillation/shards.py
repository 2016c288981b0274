"""Rows of tensors on disk, in shards that are whole or absent, read back row by row.

A teacher's outputs are computed once: its text embeddings, its predictions, clips that it
generates. The folder's name holds a hash of all that decides the rows.
"""

import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import DmmError
from ..files import whole_file
from ..fitting.compute import ON_CPU, Compute
from ..progress import progress_bar

Rows = dict[str, Tensor]
"""Named tensors with one row for each number."""


class Shards:
    """``rows`` numbered rows in files of ``size``; row n is in file n // size."""

    def __init__(self, folder: Path, rows: int, size: int) -> None:
        self.folder, self.count, self.size = folder, rows, size
        self._open = cache(self._map_file)

    @property
    def paths(self) -> list[Path]:
        """Every file, made or not."""
        files = -(-self.count // self.size)
        return [self.folder / f"{number:05}.safetensors" for number in range(files)]

    def make_missing_files(
        self,
        name: str,
        make: Callable[[range], Rows],
        batch: int,
        compute: Compute = ON_CPU,
    ) -> "Shards":
        """Make the files that are missing, ``batch`` rows at a time, in half precision.

        Files made before an interruption stay. In several processes the first one makes them.
        DmmError, after the first file, if the disk has no room for the others.
        """
        with compute.main_first():
            missing = [n for n, path in enumerate(self.paths) if not path.is_file()]
            if missing:
                with progress_bar(
                    name, sum(len(self._numbers_in_file(n)) for n in missing)
                ) as advance:
                    for done, number in enumerate(missing, start=1):
                        self._make_file(number, make, batch, advance)
                        self._check_room(name, len(missing) - done, self.paths[number])
        return self

    def _check_room(self, name: str, files: int, made: Path) -> None:
        needed, free = files * made.stat().st_size, shutil.disk_usage(self.folder).free
        if needed > free:
            raise DmmError(
                f"{self.folder}: the {name} need {needed / 1e9:.1f} GB more and "
                f"{free / 1e9:.1f} GB are free; make room, or lower store or clips in the preset"
            )

    def rows(self, numbers: Int[Tensor, " n"] | Sequence[int]) -> Rows:
        """Some of the rows, in this order, in single precision."""
        found: dict[str, list[Tensor]] = {}
        for number in torch.as_tensor(numbers).tolist():
            for name, tensor in self._open(number // self.size).items():
                found.setdefault(name, []).append(tensor[number % self.size])
        return {name: torch.stack(rows).float() for name, rows in found.items()}

    def _map_file(self, file: int) -> Rows:
        """A file's tensors, mapped: only rows that are read take memory."""
        return load_file(self.folder / f"{file:05}.safetensors")

    def _numbers_in_file(self, file: int) -> range:
        return range(file * self.size, min((file + 1) * self.size, self.count))

    def _make_file(
        self, file: int, make: Callable[[range], Rows], batch: int, advance: Callable[[int], Any]
    ) -> None:
        numbers, parts = self._numbers_in_file(file), []
        for start in range(0, len(numbers), batch):
            part = numbers[start : start + batch]
            parts.append({name: rows.half().cpu() for name, rows in make(part).items()})
            advance(len(part))
        whole = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        with whole_file(self.paths[file]) as partial:
            save_file(whole, partial)
