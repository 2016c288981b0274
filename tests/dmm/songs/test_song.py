import json

import numpy as np
import pytest
import soundfile
import torch

import dmm.songs.song
from dmm.cli import run
from dmm.codec.image import read_image
from dmm.codec.mel import load_format
from dmm.errors import InputError, ModelError
from dmm.generation.callbacks import Callbacks
from dmm.generation.loaded_model import LoadedModel
from dmm.songs.layout import SongOptions, lay_out_song
from dmm.songs.song import song, stretch_loop
from dmm.songs.song_files import check_output_path
from dmm.songs.timeline import Part, Timeline


@pytest.fixture(scope="module")
def model(tiny_checkpoint):
    return LoadedModel(tiny_checkpoint, device="cpu")


@pytest.fixture
def play(model, tmp_path):
    """Generate a song of (prompt, seconds) parts in two steps; returns the paths of its files."""

    def playing(*parts, name="song.flac", steps=2, **options):
        start, made = 0.0, []
        for prompt, seconds in parts:
            made.append(Part(start=start, seconds=seconds, prompt=prompt))
            start += seconds
        timeline, options = Timeline(part=tuple(made)), {"model": model} | options
        return song(
            None, out=tmp_path / name, timeline=timeline, steps=steps, sampler="euler",
            guidance=1.0, quality="fast", **options,
        )  # fmt: skip

    return playing


def test_a_song_has_the_length_and_tracks_of_its_timeline(play):
    out, picture, cue, facts = play(("a", 6.0), ("b", 4.5))
    stated = json.loads(facts.read_text())
    sound, _ = soundfile.read(out)
    image, fmt = read_image(picture)
    assert len(sound) == 525 * 441 and image.shape == (256, 525) and fmt.name == "nano"
    assert stated["windows"] == 3 and stated["duration_s"] == pytest.approx(10.5)
    assert [part["prompt"] for part in stated["timeline"]["part"]] == ["a", "b"]
    assert cue.read_text().splitlines()[-1] == "    INDEX 01 00:06:00"
    assert len(stated["joints_s"]) + len(stated["changes_s"]) == 2
    assert len(stated["changes_s"]) == 1 and "seams" in stated


def test_sd15_generates_songs_too(tiny_sd15, tmp_path):
    paths = song("a", tiny_sd15, tmp_path / "x.wav", seconds=7.0, steps=2, device="cpu")
    assert soundfile.info(paths[0]).duration == 7


def test_a_seed_gives_the_same_song_in_any_batch(play):
    images = [
        read_image(play(("a", 9.0), name=f"{batch}.wav", batch_size=batch, seed=seed)[1])[0]
        for batch, seed in ((1, 0), (3, 0), (3, 1))
    ]
    assert (images[0] == images[1]).all() and (images[1] != images[2]).any()


def test_a_loop_has_its_length_to_the_sample_and_no_edge(play):
    seconds = 2 * 4 * 60 / 97
    out, picture, *_ = play(("a", seconds), name="loop.wav", loop=True)
    sound, sr = soundfile.read(out)
    assert len(sound) == round(seconds * sr)
    image = read_image(picture)[0].astype(float)
    steps = np.abs(np.diff(image, axis=1, append=image[:, :1])).mean(0)
    assert image.shape[1] == round(seconds * 50) and steps[-1] < np.quantile(steps, 0.95)


def test_a_loop_is_stretched_without_an_edge():
    wave = 128 + 100 * np.sin(2 * np.pi * 3 * (np.arange(104) + 0.5) / 104)
    stretched = stretch_loop(np.rint(np.tile(wave, (8, 1))).astype(np.uint8), 101)
    expected = 128 + 100 * np.sin(2 * np.pi * 3 * (np.arange(101) + 0.5) / 101)
    np.testing.assert_allclose(stretched, np.tile(expected, (8, 1)), atol=1.5)


def test_windows_have_the_prompt_of_their_middle():
    parts = tuple(Part(start=s, seconds=8, prompt=p) for s, p in ((0, "a"), (8, "b")))
    layout = lay_out_song(Timeline(part=parts), SongOptions(), load_format("nano"), 8)
    assert layout.weights.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    joints, changes = layout.joints_and_changes()
    assert len(joints) == 2 and len(changes) == 1


def test_a_song_that_overflows_in_half_precision_is_generated_in_full(
    monkeypatch, play, tiny_checkpoint
):
    notes, latents = [], dmm.songs.song._sample_latents
    answers = [torch.full((1, 8, 32, 57), torch.nan)]
    monkeypatch.setattr(
        dmm.songs.song,
        "_sample_latents",
        lambda *given: answers.pop() if answers else latents(*given),
    )
    half = LoadedModel(tiny_checkpoint, device="cpu", precision="bf16")
    facts = play(("a", 9.0), model=half, callbacks=Callbacks(on_note=notes.append))[-1]
    assert json.loads(facts.read_text())["drawn_in"] == "fp32"
    assert notes == ["bf16 overflowed, so the song is generated in fp32"]


def test_nan_in_full_precision_is_an_error(monkeypatch, play, tmp_path):
    monkeypatch.setattr(
        dmm.songs.song, "_sample_latents", lambda *_: torch.full((1, 8, 32, 57), torch.nan)
    )
    with pytest.raises(ModelError, match="NaN in full precision"):
        play(("a", 9.0))
    assert not list(tmp_path.iterdir())


def test_truncated_prompts_are_noted(play):
    notes = []
    play(("violin " * 80 + "lastword", 1.0), steps=1, callbacks=Callbacks(on_note=notes.append))
    assert len(notes) == 1 and "lastword" in notes[0] and notes[0].startswith("CLIP reads 75")


def test_a_stopped_song_leaves_no_files(play, tmp_path):
    assert play(("a", 6.0), callbacks=Callbacks(should_stop=lambda: True)) == []

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(("a", 6.0), callbacks=Callbacks(on_step=interrupted))
    assert not list(tmp_path.iterdir())


def test_an_interruption_while_writing_leaves_no_files(play, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dmm.songs.song_files.cue_sheet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        play(("a", 2.0), steps=1)
    assert not list(tmp_path.iterdir())


def test_an_interruption_leaves_the_earlier_song_of_that_name(play, monkeypatch, tmp_path):
    paths = play(("a", 1.0), steps=1)
    earlier = [path.read_bytes() for path in paths]

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dmm.songs.song_files.cue_sheet", interrupted)
    with pytest.raises(KeyboardInterrupt):
        play(("b", 1.0), steps=1)
    assert [path.read_bytes() for path in paths] == earlier
    assert len(list(tmp_path.iterdir())) == 4


def test_overlaps_out_of_range_are_refused():
    for overlap in (0.0, 0.6):
        with pytest.raises(InputError, match="is needed"):
            SongOptions(overlap=overlap)


def test_the_commands_report_missing_options_in_one_line(tiny_checkpoint, tmp_path, capsys):
    arguments = ["song", "--model", str(tiny_checkpoint), "--out", str(tmp_path / "x.flac")]
    assert run([*arguments, "--prompt", "a"]) == 1
    assert "error: how long?" in capsys.readouterr().err
    assert run([*arguments, "--prompt", "a", "--seconds", "1", "--loudness", "nan"]) == 2
    assert "--loudness" in capsys.readouterr().err
    assert run(["stitch", str(tmp_path), "--out", str(tmp_path / "x.flac")]) == 1
    assert capsys.readouterr().err == "error: 0 clips; two or more are needed to join them\n"


def test_the_command_plays_a_timeline(tiny_checkpoint, tmp_path, capsys):
    timeline = tmp_path / "t.toml"
    timeline.write_text('[[part]]\nstart = 0\nseconds = 3\nprompt = "a"\n')
    out = tmp_path / "x.mp3"
    arguments = ["--timeline", timeline, "--model", tiny_checkpoint, "--out", out, "--steps", 1]
    assert run(["song", *map(str, arguments), "--loudness", "-20", "--quality", "fast"]) == 0
    assert capsys.readouterr().out.split() == [
        str(out.with_suffix(suffix)) for suffix in (".mp3", ".png", ".cue", ".json")
    ]
    assert soundfile.info(out).duration == pytest.approx(3, abs=0.1)


def test_an_unknown_audio_suffix_is_refused_before_generation(tmp_path):
    with pytest.raises(InputError, match=r"\.flac, \.wav, \.mp3"):
        check_output_path(tmp_path / "x.ogg")
