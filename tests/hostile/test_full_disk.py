"""Every command that writes, on a full disk: one line, and no half-written file."""

import subprocess

import numpy as np
import pytest

from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions
from dmm.cli import run
from dmm.codec.image import write_image
from dmm.codec.mel import load_format
from dmm.files.parts import NAME
from dmm.fusing.fuse import fuse
from dmm.generation.generate import generate
from dmm.sound.audio import write_audio

NANO = load_format("nano")
SIZE_MB = 16
COMMANDS = {
    "encode": "encode {i}/noise.wav --format nano --out {o}/x",
    "decode": "decode {i}/a.png --quality fast --out {o}/x",
    "stitch": "stitch {i}/a.png {i}/b.png --quality fast --out {o}/x.wav",
    "song": "song --model {m} --prompt piano --seconds 6 --steps 1 --quality fast --out {o}/x.wav",
    "generate": "generate piano --count 2 --steps 1 --model {m} --out {o}/x",
    "generate --bundle": "generate piano --steps 1 --bundle {b} --out {o}/x",
    "fuse": "fuse {m} --lora {i}/lora.safetensors --out {o}/x.safetensors",
    "unfuse": "unfuse {m} {i}/fused.safetensors --rank 4 --out {o}/x.safetensors",
    "export": "export {m15} --unet fp32 --text-encoders fp32 --vae fp32 --steps 1 --out {o}/x",
    "web --build": "web {b} --build {o}/x",
    "data build": "data build --source minimidi --count 12 --format nano --jobs 1 --out {o}/x",
    "data stats": "data stats {d} --html {o}/x.html",
    "data show": "data show {d} {clip} --out {o}/x",
    "data show --html": "data show {d} {clip} --html {o}/x.html",
    "data fidelity": "data fidelity {d} --clips 1 --out {o}/x",
    "data captions export": "data captions export {d} --out {o}/x.csv",
    "data captions import": "data captions import {o}/data {i}/captions.csv",
    "eval report": "eval report {i}/clips {d} --embedder mel-stats --out {o}/x",
    "eval stats": "eval stats {d} --embedder mel-stats --out {o}/x.npz",
    "train": "train nano-cpu --dataset {d} --base {m} --out {o}/x --set max_train_steps=1",
    "ablate": "ablate nano-cpu nano-cpu+mse --dataset {d} --base {m} --out {o}/x"
    " --set max_train_steps=1",
    "pretrain": "pretrain {d} --out {o}/x.safetensors --vae-steps 1 --text-steps 1 --unet-steps 1"
    " --precision fp32",
    "distill unet": "distill unet --teacher {m} --student {i}/all.toml --dataset {d}"
    " --precision fp32 --out {o}/x.safetensors",
    "distill steps": "distill steps --model {m} --preset {i}/all.toml --dataset {d}"
    " --precision fp32 --out {o}/x.safetensors",
    "distill text-encoder": "distill text-encoder --teacher {m} --which 1 --preset {i}/all.toml"
    " --dataset {d} --precision fp32 --out {o}/x.safetensors",
    "distill decoder": "distill decoder --teacher {m} --preset {i}/all.toml --dataset {d}"
    " --precision fp32 --out {o}/x.safetensors",
    "distill all": "distill all {i}/all.toml --teacher {m} --dataset {d} --precision fp32"
    " --clips 2 --out {o}/x",
}
SMALL = {"data captions export", "data captions import", "data stats", "data show", "eval stats"}
"""Commands whose output may fit into what a nearly full disk has left."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="session")
def inputs(tiny_checkpoint, random_lora, student_preset, tmp_path_factory):
    """What the commands read, by its place in a command's words."""
    folder = tmp_path_factory.mktemp("inputs")
    levels = np.random.default_rng(0).integers(0, 200, (256, 5000), np.uint8)
    for name in ("a", "b"):
        write_image(folder / f"{name}.png", levels, NANO)
    noise = np.random.default_rng(0).normal(0, 0.2, (1, 30 * NANO.sr)).astype(np.float32)
    write_audio(folder / "noise.wav", noise, NANO.sr)
    lora = random_lora(folder / "lora.safetensors", tiny_checkpoint)
    fuse(tiny_checkpoint, lora, folder / "fused.safetensors")
    generate(["piano", "organ"], tiny_checkpoint, folder / "clips", steps=1, device="cpu")
    options = BuildOptions(source="minimidi", format="nano", test=0.3, val=0.2)
    build_dataset(folder / "data", options, count=8, jobs=1)
    (folder / "all.toml").write_text(student_preset)
    clip = next((folder / "data" / "test").glob("*.png")).stem
    (folder / "captions.csv").write_text(f"id,caption\n{clip},an organ with a long new caption\n")
    return {"i": folder, "m": tiny_checkpoint, "d": folder / "data", "clip": clip}


@pytest.fixture(scope="session")
def bundle(tiny_sd15, tmp_path_factory):
    """A bundle of full precision."""
    out = tmp_path_factory.mktemp("bundles") / "bundle"
    words = "--unet fp32 --text-encoders fp32 --vae fp32 --sampler ddim --steps 1 --out"
    assert run(["export", str(tiny_sd15), *words.split(), str(out)]) == 0
    return out


@pytest.fixture
def full_disk(inputs, tmp_path):
    """``full_disk(left)``: a file system with a copy of the dataset and so many bytes left."""
    place = tmp_path / "full"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(place)],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a file system")
    subprocess.run(["cp", "-r", str(inputs["d"]), str(place / "data")], check=True)

    def fill(left):
        with (place / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(b"\1" * 4096):
                    pass
            except OSError:
                file.truncate(file.tell() // 4096 * 4096 - left)
        return place

    yield fill
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("left", [0, 40_960])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk_is_one_line_and_leaves_no_half_file(
    command, left, full_disk, inputs, tiny_sd15, tmp_path, capfd, monkeypatch, full_disks, request
):
    if left and command in SMALL:
        pytest.skip("its output fits")
    monkeypatch.chdir(tmp_path)
    words, place = COMMANDS[command], full_disk(left)
    needed = {"m15": tiny_sd15, "b": request.getfixturevalue("bundle") if "{b}" in words else ""}
    before = {path: path.read_bytes() for path in (place / "data").rglob("*") if path.is_file()}
    capfd.readouterr()
    code = run(words.format(**inputs, **needed, o=place).split())
    shown = capfd.readouterr().err
    assert code == 1, shown
    last = [line for line in shown.splitlines() if line.strip()][-1]
    assert "the disk is full" in last or "make room" in last, shown
    assert "Traceback" not in shown
    assert not [p for p in place.rglob("*") if NAME.fullmatch(p.name) or p.suffix == ".lock"]
    assert all(path.read_bytes() == content for path, content in before.items())
    full_disks[command] += 1
