"""Read and write safetensors files one tensor at a time, for models larger than memory.

safetensors' own reader maps the whole file, and its writer takes all tensors at once. Layout:
https://github.com/huggingface/safetensors#format
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from ..errors import ModelError
from ..files import open_bytes, parse_json, whole_file
from .header import read_header

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
HASH = "modelspec.hash_sha256"
"""ModelSpec's field for the SHA-256 of everything after the header."""
_UNKNOWN = "0x" + "0" * 64


@dataclass(frozen=True)
class TensorSpec:
    """Type, shape and position of one tensor in a file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int = 0
    """Offset in bytes from the beginning of the file."""

    @property
    def byte_size(self) -> int:
        """Size in bytes."""
        return self.dtype.itemsize * torch.Size(self.shape).numel()


@dataclass(frozen=True)
class TensorFile:
    """A file opened for reading; tensors are in the order of their bytes."""

    specs: dict[str, TensorSpec]
    metadata: dict[str, str]
    file: IO[bytes]

    def read(self, name: str) -> Tensor:
        """Read one tensor into new memory."""
        spec = self.specs[name]
        tensor = torch.empty(spec.shape, dtype=spec.dtype)
        self.file.seek(spec.start)
        self.file.readinto(_tensor_bytes(tensor))  # type: ignore[attr-defined]
        return tensor


@contextmanager
def open_tensors(path: Path) -> Iterator[TensorFile]:
    """Open a safetensors file; ModelError as in ``read_header``, and for weights in 8 bits."""
    read_header(path)
    with open_bytes(path, ModelError) as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = parse_json(file.read(length), path, error=ModelError)
        metadata = header.pop("__metadata__", None) or {}
        specs = {}
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            if entry["dtype"] not in DTYPES:
                raise ModelError(
                    f"{path}: {name} is {entry['dtype']}; name a file with 16 or 32 bits a weight"
                )
            start = 8 + length + entry["data_offsets"][0]
            specs[name] = TensorSpec(DTYPES[entry["dtype"]], tuple(entry["shape"]), start)
        yield TensorFile(specs, metadata, file)


def write_tensors(
    path: Path,
    specs: Mapping[str, TensorSpec],
    tensors: Iterable[tuple[str, Tensor]],
    metadata: Mapping[str, str],
) -> None:
    """Write a stream of tensors, completely or not at all.

    ``tensors`` must have the order, types and shapes of ``specs``. The file's own hash is added to
    the metadata. DmmError if the disk is full.
    """
    with_hash = {**metadata, HASH: _UNKNOWN}
    with whole_file(path) as partial, partial.open("wb") as file:
        file.write(_header_bytes(specs, with_hash))
        digest = hashlib.sha256()
        for (name, tensor), (expected, spec) in zip(tensors, specs.items(), strict=True):
            assert (name, tensor.dtype, tensor.shape) == (expected, spec.dtype, spec.shape)
            data = _tensor_bytes(tensor.contiguous())
            digest.update(data)
            file.write(data)
        file.seek(0)  # the header again, of the same length, with the hash
        file.write(_header_bytes(specs, with_hash | {HASH: "0x" + digest.hexdigest()}))


def main_dtype(file: TensorFile) -> torch.dtype:
    """The data type that takes most bytes of a file."""
    sizes: dict[torch.dtype, int] = {}
    for spec in file.specs.values():
        sizes[spec.dtype] = sizes.get(spec.dtype, 0) + spec.byte_size
    return max(sizes, key=lambda dtype: sizes[dtype])


def sorted_for_alignment(specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """Sort by size of a number, largest first, so that all tensors are aligned."""
    return dict(sorted(specs.items(), key=lambda item: -item[1].dtype.itemsize))


def _header_bytes(specs: Mapping[str, TensorSpec], metadata: Mapping[str, str]) -> bytes:
    # sorted, because safetensors returns metadata in random order
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    position = 0
    for name, spec in specs.items():
        header[name] = {
            "dtype": _NAMES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [position, position + spec.byte_size],
        }
        position += spec.byte_size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _tensor_bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data
