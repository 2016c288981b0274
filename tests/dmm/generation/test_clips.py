import json
from functools import partial

import pytest
import torch

from dmm.errors import DmmError, ModelError
from dmm.generation.callbacks import Callbacks
from dmm.generation.clips import make_missing_clips
from dmm.generation.generate import generate
from dmm.generation.requests import clip_requests

WANTED = clip_requests(["piano", "organ"], 2, 5)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_callbacks_receive_every_clip_and_step(maker):
    clips, steps = [], []
    callbacks = Callbacks(on_clip=clips.append, on_step=lambda *step: steps.append(step))
    sounds = make_missing_clips(WANTED, maker(batch_size=2), callbacks=callbacks)
    assert clips == sounds and steps == [(0, 2), (1, 2)] * 2


def test_a_caller_may_stop_between_steps_and_continue_later(maker):
    steps = []
    callbacks = Callbacks(
        on_step=lambda done, total: steps.append(done), should_stop=lambda: len(steps) == 3
    )
    sounds = make_missing_clips(WANTED, maker(batch_size=2), callbacks=callbacks)
    assert [sound.stem for sound in sounds] == ["piano-5", "organ-6"]
    assert len(names(maker().out)) == 6
    assert len(make_missing_clips(WANTED, maker(batch_size=2))) == 4


@pytest.mark.parametrize("broken", ["write_image", "write_audio", "write_text"])
def test_an_interruption_leaves_only_complete_clips(maker, monkeypatch, broken):
    import dmm.generation.clip_files as clip_files

    write, calls = getattr(clip_files, broken), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(clip_files, broken, interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_missing_clips(WANTED, maker())
    assert names(maker().out) == ["piano-5.flac", "piano-5.json", "piano-5.png"]


@pytest.mark.parametrize("kind", ["png", "flac"])
def test_a_clip_that_lost_a_file_is_generated_again(maker, kind):
    sound = make_missing_clips(WANTED[:1], maker())[0]
    sound.with_suffix(f".{kind}").unlink()
    make_missing_clips(WANTED[:1], maker())
    assert names(maker().out) == ["piano-5.flac", "piano-5.json", "piano-5.png"]


def test_a_full_disk_is_one_line_and_leaves_no_files(maker, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DmmError, match="the disk is full"):
        make_missing_clips(WANTED[:1], maker())
    assert not list(maker().out.glob("*"))


def overflowing(pipeline, noisy, timestep, conditioning):
    return torch.full_like(noisy, torch.inf)


def test_a_clip_that_overflows_in_half_precision_is_generated_in_full(maker):
    plain = make_missing_clips(WANTED[:2], maker(precision="fp32", out=maker().out / "full"))
    notes, halves = [], maker(precision="bf16")
    halves.model.__dict__["predict"] = overflowing
    sounds = make_missing_clips(WANTED[:2], halves, Callbacks(on_note=notes.append))
    for sound, expected in zip(sounds, plain, strict=True):
        assert sound.with_suffix(".png").read_bytes() == expected.with_suffix(".png").read_bytes()
        facts = json.loads(sound.with_suffix(".json").read_text())
        assert facts["precision"] == "bf16" and facts["result"] == {"drawn_in": "fp32"}
    assert notes == [
        f"{name}: bf16 overflowed, so it was generated in fp32" for name in ("piano-5", "organ-6")
    ]
    assert make_missing_clips(WANTED[:2], halves) == sounds


def test_a_clip_that_overflows_in_full_precision_is_an_error(maker):
    broken = maker()
    broken.model.__dict__["predict"] = overflowing
    with pytest.raises(ModelError, match=r"piano-5: .*NaN"):
        make_missing_clips(WANTED[:1], broken)


def test_a_long_prompt_is_noted_once_before_generation(maker):
    notes = []
    long = clip_requests(["violin " * 80], 3, 0)
    make_missing_clips(long, maker(), callbacks=Callbacks(on_note=notes.append))
    assert len(notes) == 1 and notes[0].startswith("CLIP reads 75 tokens")


def test_a_cluster_makes_the_same_clips(tiny_checkpoint, tmp_path, monkeypatch):
    tasks = []

    def on_cluster(function, jobs, processes, address, on_gpu):
        tasks.append((address, on_gpu))
        return map(function, jobs)

    monkeypatch.setattr("dmm.generation.clips.map_in_order", on_cluster)
    monkeypatch.setattr("dmm.generation.generate.has_gpus", lambda *_: False)
    options = {"count": 2, "seed": 5, "sampler": "euler", "steps": 2}
    make = partial(generate, ["piano", "organ"], tiny_checkpoint, **options)
    here, clips = make(tmp_path / "here", batch_size=4), []
    monkeypatch.chdir(tmp_path)
    there = make("there", batch_size=3, ray="local", callbacks=Callbacks(on_clip=clips.append))
    assert tasks == [("local", False)] and clips == there
    assert all(path.is_absolute() for path in there)
    for one, other in zip(here, there, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_clips_of_a_cluster_with_gpus_state_its_precision(tiny_checkpoint, tmp_path, monkeypatch):
    makers = []

    def on_cluster(function, jobs, *_):
        makers.extend(function.args)
        return (([], []) for _ in jobs)

    monkeypatch.setattr("dmm.generation.clips.map_in_order", on_cluster)
    monkeypatch.setattr("dmm.generation.generate.has_gpus", lambda *_: True)
    generate("organ", tiny_checkpoint, tmp_path, ray="local")
    assert makers[0].model.device == "cuda"
    assert (
        makers[0].clip_json(WANTED[0], 1)["precision"] == "fp16"
    )  # torch here knows no CUDA with bf16
