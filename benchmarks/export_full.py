"""Export at full size: ``python benchmarks/export_full.py sdxl|unet-330m [--encoders int8]``.

Checkpoints of random weights in half precision: SDXL 1.0's sizes, or the student that the preset
unet-330m makes of SDXL (a quarter of bigG's layers, a tiny grey decoder). Weights are uniform with
standard deviation 1 / sqrt(3 fan-in), norms 1, biases 0: activations stay finite. The export
compares one DDIM step of a 512 x 512 image, without guidance. Then each part is opened by ONNX
Runtime in a process of its own and run once. Prints one Markdown row a part: date, commit, machine,
model, part, precision, GB of its files, peak GB and CPU s of opening and running (and the forecast
for wasm); the last row is the whole export. GB are 10^9 bytes. Peaks are of resident memory, and of
its anonymous share: the rest are pages of mapped files, which the system takes back when it needs
memory. The bundle stays in --work, if that is given.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuse import shapes
from provenance import provenance
from torch import Tensor

from dmm.bundles.folder import read_description
from dmm.bundles.schema import Part
from dmm.bundles.sessions import open_session, session_settings
from dmm.checkpoints.custom_layout import CustomLayout, canonical_json
from dmm.checkpoints.networks import build_networks
from dmm.checkpoints.sdxl_layout import single_file_tensors
from dmm.checkpoints.tensorfile import TensorSpec, write_tensors
from dmm.distillation.decoder import tiny_vae_config
from dmm.distillation.presets import load_preset
from dmm.distillation.student_sizes import student_shapes

HEADER = (
    "| date | commit | machine | model | part | precision | files GB | peak GB | anonymous GB"
    " | wasm forecast GB | CPU s |\n|" + "---|" * 11
)
SDXL = shapes(320, (2, 10), 768, 1280, 49408)
SIZES = {"batch": 1, "timesteps": 1, "rows": 64, "columns": 64}


def student() -> Any:
    """Sizes of the checkpoint that the preset makes of SDXL."""
    preset = load_preset("unet-330m")
    encoder, decoder = preset.text_encoder_2, preset.decoder
    layers = round(SDXL.te2.num_layers * encoder.ratio)
    made = student_shapes(preset.unet, SDXL)
    custom = CustomLayout(made.custom.unet, canonical_json(tiny_vae_config(decoder, SDXL)))
    return replace(made, te2=replace(SDXL.te2, num_layers=layers), custom=custom)


def random_tensor(name: str, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A weight with which activations stay of order one."""
    if len(size) < 2:
        is_scale = name.endswith("weight")
        return (torch.ones if is_scale else torch.zeros)(size, dtype=torch.half)
    bound = float(np.prod(size[1:])) ** -0.5
    return torch.empty(size).uniform_(-bound, bound, generator=generator).half()


def write_checkpoint(path: Path, model: Any) -> None:
    """A single file of these sizes, a tensor at a time."""
    with torch.device("meta"):
        networks = build_networks(model)
    sizes = {
        n: tuple(t.shape)
        for n, t in single_file_tensors(*networks.values(), custom=model.custom).items()
    }
    generator = torch.Generator().manual_seed(0)

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name, size in sizes.items():
            yield name, random_tensor(name, size, generator)

    settings = {"dmm_format": "sdxl-512", "dmm_sampler": "ddim-trailing", "dmm_steps": "1"}
    metadata = {"format": "pt", **settings, "dmm_guidance": "1", **model.custom.metadata}
    specs = {name: TensorSpec(torch.float16, size) for name, size in sizes.items()}
    write_tensors(path, specs, tensors(), metadata)


def run_part(folder: Path, name: str) -> None:
    """Open one part and run it once."""
    part, generator = read_description(folder).parts[name], np.random.default_rng(0)
    inputs = {}
    for key, tensor in part.inputs.items():
        size = [SIZES[n] if isinstance(n, str) else n for n in tensor.shape]
        is_ids = tensor.dtype == "int32"
        array = generator.integers(0, 49000, size) if is_ids else generator.normal(size=size)
        inputs[key] = array.astype(tensor.dtype)
    settings = session_settings(part, "cpu")
    session = open_session(folder / f"{name}.onnx", intra_op_num_threads=1, **settings)
    found = session.run(None, inputs)
    assert all(np.isfinite(array).all() for array in found)


@dataclass
class Used:
    """What a process took."""

    peak: int = 0
    """Largest resident bytes."""
    anonymous: int = 0
    """Largest bytes that are no file's."""
    cpu_s: float = 0.0


def in_own_process(*command: str) -> Used:
    """Run a Python command in a process of its own and watch its memory."""
    used, before = Used(), _children_s()
    with subprocess.Popen([sys.executable, *command], stdout=sys.stderr) as process:
        while process.poll() is None:
            resident, of_files = _memory(process.pid)
            used.peak = max(used.peak, resident)
            used.anonymous = max(used.anonymous, resident - of_files)
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(process.returncode)
    used.cpu_s = _children_s() - before
    return used


def _memory(pid: int) -> tuple[int, int]:
    """Resident bytes, and those of files among them."""
    pages = [int(n) for n in Path(f"/proc/{pid}/statm").read_text().split()]
    return pages[1] * os.sysconf("SC_PAGE_SIZE"), pages[2] * os.sysconf("SC_PAGE_SIZE")


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stored_bytes(part: Part) -> int:
    """Bytes of a part's files."""
    return part.model.bytes + sum(file.bytes for file in part.data)


def main() -> None:
    """Export one model and run its parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=["sdxl", "unet-330m"])
    parser.add_argument("--encoders", default="mixed", help="Precision of the text encoders.")
    parser.add_argument("--work", type=Path, help="Folder for 30 GB of files, which stay there.")
    parser.add_argument("--part", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        run_part(Path(options.part[0]), options.part[1])
        return
    kept = nullcontext(options.work) if options.work else tempfile.TemporaryDirectory()
    with kept as work:
        checkpoint, out = Path(work) / f"{options.model}.safetensors", Path(work) / options.model
        write_checkpoint(checkpoint, SDXL if options.model == "sdxl" else student())
        encoders = ("--text-encoders", options.encoders)
        whole = in_own_process("-m", "dmm", "export", str(checkpoint), "--out", str(out), *encoders)
        bundle = read_description(out)
        print(HEADER)
        for name, part in bundle.parts.items():
            used = in_own_process(__file__, options.model, "--part", str(out), name)
            wasm = part.memory.wasm_peak_bytes if part.memory else 0
            cells = (name, part.precision, stored_bytes(part))
            print_row(options.model, *cells, used, f"{wasm / 1e9:.2f}")
        size = sum(file.bytes for file in bundle.files())
        print_row(options.model, "export of all", "", size, whole)


def print_row(
    model: str, part: str, precision: str, size: int, used: Used, forecast: str = ""
) -> None:
    """One Markdown row."""
    sizes = (f"{size / 1e9:.3f}", f"{used.peak / 1e9:.2f}", f"{used.anonymous / 1e9:.2f}")
    cells = (model, part, precision, *sizes, forecast, f"{used.cpu_s:.0f}")
    print(f"| {' | '.join([*provenance('1 thread'), *cells])} |", flush=True)


if __name__ == "__main__":
    main()
