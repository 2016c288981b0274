import numpy as np
import pytest
import soundfile

from dmm.cli import run
from dmm.codec.image import read_image, write_image
from dmm.codec.mel import load_format
from dmm.sound.audio import write_audio

NANO = load_format("nano")


@pytest.fixture
def song(tmp_path):
    """A clip and a half of a sine."""
    t = np.arange(NANO.clip_samples * 3 // 2) / NANO.sr
    write_audio(tmp_path / "song.wav", 0.4 * np.sin(2 * np.pi * 500 * t)[None], NANO.sr)
    return tmp_path / "song.wav"


def encode(*arguments):
    return run(["encode", *map(str, arguments), "--format", "nano"])


def test_a_song_becomes_clips_and_clips_become_sound(tmp_path, song, capsys):
    images = tmp_path / "images"
    assert encode(song, "--out", images) == 0
    written = capsys.readouterr().out.split()
    assert written == [str(images / f"song-00{i}.png") for i in (0, 1)]
    assert read_image(images / "song-001.png")[1] == NANO
    options = ["--out", str(tmp_path), "--quality", "fast", "--type", "flac"]
    assert run(["decode", *written, *options]) == 0
    sound, sr = soundfile.read(tmp_path / "song-000.flac")
    assert (len(sound), sr) == (NANO.clip_samples, NANO.sr)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(0.4 / np.sqrt(2), rel=0.02)


def test_without_padding_the_short_end_is_left_out(tmp_path, song, capsys):
    assert encode(song, "--out", tmp_path, "--no-pad") == 0
    assert len(capsys.readouterr().out.split()) == 1


def test_a_file_shorter_than_a_clip_says_how_to_extend_it(tmp_path, capsys):
    write_audio(tmp_path / "short.wav", np.full((1, NANO.sr), 0.1), NANO.sr)
    assert encode(tmp_path / "short.wav", "--out", tmp_path, "--no-pad") == 1
    assert "1.00 s; format 'nano' needs 5.12 s or more (--pad to extend)" in one_line(capsys)


def test_a_silent_file_is_an_error(tmp_path, capsys):
    write_audio(tmp_path / "hush.wav", np.zeros((1, 6 * NANO.sr)), NANO.sr)
    assert encode(tmp_path / "hush.wav", "--out", tmp_path) == 1
    assert "hush.wav: silent throughout" in one_line(capsys)


def test_stereo_keeps_two_channels(tmp_path, song):
    assert encode(song, "--out", tmp_path, "--stereo") == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert run(["decode", "song-000.png", "--out", "x", "--quality", "fast"]) == 0
        assert soundfile.info("x/song-000.wav").channels == 2


def test_the_batch_goes_on_after_a_bad_file(tmp_path, song, capsys):
    empty = tmp_path / "empty.wav"
    empty.write_bytes(b"")
    assert encode(empty, song, "--out", tmp_path / "images") == 1
    out, err = capsys.readouterr()
    assert len(out.split()) == 2
    assert [line for line in err.splitlines() if line.startswith("error")] == [
        f"error: {empty}: empty (0 bytes); copy it again"
    ]


def test_the_batch_goes_on_after_an_image_of_a_nonsense_format(tmp_path, song, capsys):
    encode(song, "--out", tmp_path, "--no-pad")
    levels, fmt = read_image(tmp_path / "song-000.png")
    strange = fmt.model_copy(update={"fmax": -1.0, "name": "strange"})
    write_image(tmp_path / "strange.png", levels, strange)
    images = [str(tmp_path / f"{name}.png") for name in ("strange", "song-000")]
    capsys.readouterr()
    assert run(["decode", *images, "--out", str(tmp_path), "--quality", "fast"]) == 1
    assert (tmp_path / "song-000.wav").is_file() and not (tmp_path / "strange.wav").exists()
    assert "fmax is -1.0" in capsys.readouterr().err


def test_two_inputs_of_one_name_do_not_overwrite_each_other(tmp_path, song, capsys):
    other = tmp_path / "other" / "song.wav"
    write_audio(other, np.zeros((1, NANO.clip_samples)), NANO.sr)
    assert encode(song, other, "--out", tmp_path) == 1
    assert "has the same name as" in one_line(capsys)


def test_an_unknown_format_lists_the_known_ones(tmp_path, song, capsys):
    assert run(["encode", str(song), "--out", str(tmp_path), "--format", "x"]) == 1
    assert "known: nano, riffusion" in capsys.readouterr().err


def one_line(capsys):
    """The only complaint on standard error."""
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    return line
