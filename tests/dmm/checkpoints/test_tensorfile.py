import errno
import hashlib

import pytest
import torch
from safetensors.torch import load_file, save_file

from dmm.checkpoints.header import read_metadata
from dmm.checkpoints.tensorfile import (
    HASH,
    TensorSpec,
    main_dtype,
    open_tensors,
    sorted_for_alignment,
    write_tensors,
)
from dmm.errors import DmmError, ModelError

TENSORS = {
    "half": torch.arange(3.0).half(),
    "brain": torch.randn(2, 3, generator=torch.manual_seed(0)).bfloat16(),
    "long": torch.tensor([[2**40]]),
    "scalar": torch.tensor(1.5),
    "none": torch.empty(0, 4),
    "flags": torch.tensor([True, False, True]),
}


def write(path, tensors, **metadata):
    specs = sorted_for_alignment(
        {name: TensorSpec(t.dtype, tuple(t.shape)) for name, t in tensors.items()}
    )
    write_tensors(path, specs, ((name, tensors[name]) for name in specs), metadata)
    return path


def test_what_is_written_is_read_by_safetensors_itself(tmp_path):
    path = write(tmp_path / "a.safetensors", TENSORS, licence="Apache-2.0")
    assert all(torch.equal(TENSORS[name], tensor) for name, tensor in load_file(path).items())
    assert read_metadata(path)["licence"] == "Apache-2.0" and load_file(path).keys() == set(TENSORS)


def test_what_safetensors_writes_is_read(tmp_path):
    save_file(TENSORS, tmp_path / "a.safetensors", {"a": "b"})
    with open_tensors(tmp_path / "a.safetensors") as file:
        assert all(torch.equal(file.read(name), tensor) for name, tensor in TENSORS.items())
        assert file.metadata == {"a": "b"} and file.specs.keys() == TENSORS.keys()


def test_every_tensor_begins_where_its_numbers_may(tmp_path):
    with open_tensors(write(tmp_path / "a.safetensors", TENSORS)) as file:
        assert all(spec.start % spec.dtype.itemsize == 0 for spec in file.specs.values())


def test_the_hash_is_that_of_everything_behind_the_header(tmp_path):
    path = write(tmp_path / "a.safetensors", TENSORS)
    content = path.read_bytes()
    behind = content[8 + int.from_bytes(content[:8], "little") :]
    assert read_metadata(path)[HASH] == "0x" + hashlib.sha256(behind).hexdigest()


def test_an_interrupted_file_is_not_there(tmp_path):
    def tensors():
        yield "half", TENSORS["half"]
        raise KeyboardInterrupt

    specs = {name: TensorSpec(TENSORS[name].dtype, tuple(TENSORS[name].shape)) for name in TENSORS}
    with pytest.raises(KeyboardInterrupt):
        write_tensors(tmp_path / "a.safetensors", specs, tensors(), {})
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported_and_nothing_is_left(tmp_path):
    def tensors():
        yield "half", TENSORS["half"]
        raise OSError(errno.ENOSPC, "No space left on device")

    specs = {name: TensorSpec(TENSORS[name].dtype, tuple(TENSORS[name].shape)) for name in TENSORS}
    with pytest.raises(DmmError, match=r"a\.safetensors: the disk is full"):
        write_tensors(tmp_path / "a.safetensors", specs, tensors(), {})
    assert not list(tmp_path.iterdir())


def test_a_cut_off_file_and_one_of_8_bits_are_refused(tmp_path):
    path = write(tmp_path / "a.safetensors", TENSORS)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="not a whole safetensors file"), open_tensors(path):
        pass
    save_file({"w": torch.zeros(2).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(ModelError, match="w is F8_E4M3"), open_tensors(path):
        pass


def test_the_main_type_is_that_of_most_bytes(tmp_path):
    tensors = {"a": torch.zeros(8).half(), "b": torch.zeros(1), "c": torch.zeros(1)}
    with open_tensors(write(tmp_path / "a.safetensors", tensors)) as file:
        assert main_dtype(file) == torch.float16
