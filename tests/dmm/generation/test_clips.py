import json

import pytest
import torch

from dmm.errors import DmmError, ModelError
from dmm.generation.callbacks import Watch
from dmm.generation.clips import make_clips
from dmm.generation.requests import requests

WANTED = requests(["piano", "organ"], 2, 5)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_caller_hears_of_every_clip_and_step(order):
    clips, steps = [], []
    watch = Watch(on_clip=clips.append, on_step=lambda taken, of: steps.append((taken, of)))
    sounds = make_clips(WANTED, order(batch_size=2), watch=watch)
    assert clips == sounds and steps == [(0, 2), (1, 2)] * 2


def test_a_caller_may_end_it_between_steps_and_go_on_later(order):
    steps = []
    watch = Watch(
        on_step=lambda taken, of: steps.append(taken), should_stop=lambda: len(steps) == 3
    )
    sounds = make_clips(WANTED, order(batch_size=2), watch=watch)
    assert [sound.stem for sound in sounds] == ["piano-5", "organ-6"]
    assert len(names(order().out)) == 6
    assert len(make_clips(WANTED, order(batch_size=2))) == 4


@pytest.mark.parametrize("broken", ["write_image", "write_audio", "write_text"])
def test_an_interruption_leaves_whole_clips_and_no_halves(order, monkeypatch, broken):
    import dmm.generation.folder as folder

    write, calls = getattr(folder, broken), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(folder, broken, interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_clips(WANTED, order())
    assert names(order().out) == ["piano-5.flac", "piano-5.json", "piano-5.png"]


def test_a_full_disk_is_one_line_and_leaves_no_halves(order, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DmmError, match="the disk is full"):
        make_clips(WANTED[:1], order())
    assert not names(order().out)


def overflowing(pipeline, noisy, timestep, conditions):
    return torch.full_like(noisy, torch.inf)


def test_what_overflows_in_half_precision_is_drawn_in_full(order):
    plain = make_clips(WANTED[:2], order(precision="fp32", out=order().out / "full"))
    notes, halves = [], order(precision="bf16")
    studio = halves.studio()
    studio.__dict__["_predict"] = overflowing
    sounds = make_clips(WANTED[:2], halves, studio, Watch(on_note=notes.append))
    for sound, expected in zip(sounds, plain, strict=True):
        assert sound.with_suffix(".png").read_bytes() == expected.with_suffix(".png").read_bytes()
        facts = json.loads(sound.with_suffix(".json").read_text())
        assert facts["precision"] == "bf16" and facts["result"] == {"drawn_in": "fp32"}
    assert notes == [
        f"{name}: bf16 overflowed, so it was drawn in fp32" for name in ("piano-5", "organ-6")
    ]
    assert make_clips(WANTED[:2], halves) == sounds


def test_what_overflows_in_full_precision_is_told(order):
    studio = order().studio()
    studio.__dict__["_predict"] = overflowing
    with pytest.raises(ModelError, match=r"piano-5: .*NaN"):
        make_clips(WANTED[:1], order(), studio)


def test_a_long_prompt_is_told_once_before_drawing(order, recipe):
    notes = []
    long = requests(["violin " * 80], 3, 0)
    make_clips(long, order(), watch=Watch(on_note=notes.append))
    assert len(notes) == 1 and notes[0].startswith("CLIP reads 75 tokens")


def test_a_cluster_makes_the_same_clips(order, monkeypatch):
    tasks = []

    def on_cluster(function, jobs, processes, address, on_gpu):
        tasks.append((address, on_gpu))
        return map(function, jobs)

    monkeypatch.setattr("dmm.generation.clips.map_in_order", on_cluster)
    monkeypatch.setattr("dmm.generation.clips.has_gpus", lambda *_: False)
    here = make_clips(WANTED, order(out=order().out / "here"))
    heard = []
    there = make_clips(WANTED, order(batch_size=3), watch=Watch(on_clip=heard.append), ray="local")
    assert tasks == [("local", False)] and heard == there
    for one, other in zip(here, there, strict=True):
        assert one.read_bytes() == other.read_bytes()
