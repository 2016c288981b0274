"""Commands that are killed at any file operation, or run on a full disk, and then run again."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from dmm.cli import run
from dmm.codec.image import write_image
from dmm.codec.mel import load_format
from dmm.files.parts import NAME
from dmm.fusing.fuse import fuse
from dmm.generation.clip_files import write_clip
from dmm.generation.generate import generate
from dmm.songs.song_files import Song, Track, write_song
from dmm.sound.audio import write_audio

NANO = load_format("nano")
KILLS = 12
"""Kills of each command, at seeded random file operations."""
COUNTED = {"open", "os.rename", "os.remove", "os.mkdir", "os.scandir", "os.truncate"}


@pytest.fixture
def levels():
    return np.random.default_rng(0).integers(0, 200, (256, 128), np.uint8)


@pytest.fixture
def actions(levels, tiny_checkpoint, random_lora, tmp_path):
    """Name to a function that writes to a folder, always the same."""
    lora = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint)
    song = Song(levels, NANO, (Track(0.0, "piano"),), (), {"seed": 0})
    sound = np.zeros((1, 1000), np.float32)
    return {
        "clip": lambda out: write_clip(out, "a-0", levels, sound, NANO, {"seed": 0}),
        "song": lambda out: write_song(out / "a.flac", song, "fast"),
        "fuse": lambda out: fuse(tiny_checkpoint, lora, out / "fused.safetensors"),
        "generate": lambda out: generate(
            ["piano", "organ"], tiny_checkpoint, out, steps=1, device="cpu"
        ),
    }


def in_child(action, out, operation=None):
    """Run in a forked child, killed at its n-th file operation; returns how many there were."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        counted = 0

        def hook(event, _):
            nonlocal counted
            if event in COUNTED:
                counted += 1
                if counted == operation:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            action(out)
            os.write(writer, str(counted).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reader) as found:
        text = found.read()
    assert os.WTERMSIG(status) == signal.SIGKILL if operation else status == 0
    return int(text or 0)


def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*")
@pytest.mark.parametrize("name", ["clip", "song", "fuse", "generate"])
def test_a_killed_command_run_again_leaves_the_files_of_an_uninterrupted_one(
    name, actions, tmp_path
):
    action = actions[name]
    operations = in_child(action, tmp_path / "whole")
    places = np.random.default_rng(0).integers(1, operations + 1, KILLS)
    for number, place in enumerate(places.tolist()):
        out = tmp_path / f"killed-{number}"
        in_child(action, out, place)
        assert all(NAME.fullmatch(p.name) or p.name[0] == "." or p.stat().st_size
                   for p in out.rglob("*")) if out.exists() else True  # fmt: skip
        in_child(action, out)
        assert tree(out) == tree(tmp_path / "whole"), f"killed at operation {place}"


@pytest.fixture
def full_disk(tmp_path):
    """A file system with 40 kB left, of which a path is returned; needs root."""
    place = tmp_path / "full"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no permission to mount a file system")
    (place / "filler").write_bytes(b"\1" * ((4 << 20) - 40_000))
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["encode", "decode", "stitch", "build", "generate", "fuse"])
def test_a_full_disk_is_one_line_and_leaves_no_half_file(
    command, full_disk, levels, tiny_checkpoint, random_lora, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    wide = np.tile(levels, (1, 40))
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.png", wide, NANO)
    noise = np.random.default_rng(0).normal(0, 0.2, (1, 30 * NANO.sr)).astype(np.float32)
    write_audio(tmp_path / "noise.wav", noise, NANO.sr)
    lora = random_lora(tmp_path / "lora.safetensors", tiny_checkpoint)
    words = {
        "encode": ["encode", "noise.wav", "--format", "nano", "--out", full_disk / "x"],
        "decode": ["decode", "a.png", "--quality", "fast", "--out", full_disk / "x"],
        "stitch": ["stitch", "a.png", "b.png", "--quality", "fast", "--out", full_disk / "x.wav"],
        "build": ["data", "build", "--source", "minimidi", "--count", "12", "--format", "nano",
                  "--jobs", "1", "--out", full_disk / "x"],
        "generate": ["generate", "piano", "--count", "2", "--steps", "1", "--model",
                     tiny_checkpoint, "--out", full_disk / "x"],
        "fuse": ["fuse", tiny_checkpoint, "--lora", lora, "--out", full_disk / "x.safetensors"],
    }[command]  # fmt: skip
    assert run([*map(str, words)]) == 1
    shown = capsys.readouterr().err
    assert "the disk is full" in shown and "Traceback" not in shown
    assert not [p for p in full_disk.rglob("*") if NAME.fullmatch(p.name)]
