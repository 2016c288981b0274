import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from dmm.codec.decode import stream_decode
from dmm.codec.image import read_image, write_image
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError
from dmm.songs.mel_crossfade import (
    MelMagnitudes,
    as_stereo,
    matching_gain_db,
    mix_overlap,
    power_at_start_and_end,
    to_image,
    to_mel,
    with_gains_at_ends,
)
from dmm.songs.overlap import choose_overlap, detect_beats
from dmm.songs.song_files import Track, cue_sheet
from dmm.songs.stitch import StitchOptions, lay_out_clips, read_clips, render_song_image, stitch

NANO = load_format("nano")
SMALL = NANO.model_copy(
    update={"hop_length": 256, "win_length": 768, "n_fft": 1024, "n_mels": 64, "fmax": 8000.0}
)
RATE = SMALL.sr / SMALL.hop_length


def beats(n_frames, bpm=120.0, first_s=0.1, level=0.2):
    """A quiet tone with a click on every beat."""
    n = n_frames * SMALL.hop_length
    sound = 0.05 * np.sin(2 * np.pi * 440 * np.arange(n) / SMALL.sr)
    hit = np.random.default_rng(0).normal(size=1500) * np.exp(-np.arange(1500) / 300)
    for start in np.arange(first_s, n / SMALL.sr - 0.1, 60 / bpm):
        sound[int(start * SMALL.sr) :][:1500] += level * hit
    return sound[None]


@pytest.fixture
def clips(tmp_path):
    """Three clips of 4 s whose first beats differ."""
    paths = []
    for number, first_s in enumerate((0.1, 0.32, 0.21)):
        path = tmp_path / "clips" / f"clip-{number}.png"
        write_image(path, encode(beats(345, first_s=first_s), SMALL), SMALL)
        paths.append(path)
    return paths


def test_magnitudes_become_the_same_image_again(rng):
    for shape in ((64, 20), (64, 20, 3)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        for fmt in (SMALL, SMALL.model_copy(update={"stereo": "left-right"})):
            if fmt.stereo == "left-right" and image.ndim == 3:
                image[..., 0] = 255
            assert (to_image(to_mel(image, fmt), fmt) == image).all()


def test_a_mono_image_as_stereo_sounds_the_same():
    image = encode(beats(60), SMALL)
    mono, both = (
        np.concatenate(list(stream_decode(x, SMALL)), axis=1)
        for x in (image, as_stereo(image, SMALL))
    )
    np.testing.assert_allclose(both, np.repeat(mono, 2, axis=0), atol=1e-6)


def test_a_crossfade_of_two_equally_loud_clips_is_as_loud_throughout(rng):
    one, two = (MelMagnitudes(np.full((1, 4, 30), 0.3, np.float32)) for _ in range(2))
    np.testing.assert_allclose(mix_overlap(one, two).magnitude, 0.3, rtol=1e-6)
    silent = MelMagnitudes(np.zeros((1, 4, 30), np.float32))
    fade = mix_overlap(one, silent).magnitude[0, 0] ** 2 / 0.09
    np.testing.assert_allclose(fade + fade[::-1], 1, rtol=1e-5)


def test_levels_meet_half_way_and_the_middle_stays():
    one, two = (MelMagnitudes(np.full((1, 64, 101), level, np.float32)) for level in (0.2, 0.1))
    gain_db = matching_gain_db(
        power_at_start_and_end(one, SMALL)[1], power_at_start_and_end(two, SMALL)[0]
    )
    assert gain_db == pytest.approx(np.full(64, 6.0), abs=0.03)
    none = np.zeros(64)
    end = with_gains_at_ends(one, none, -gain_db / 2).magnitude[0, 0]
    start = with_gains_at_ends(two, gain_db / 2, none).magnitude[0, 0]
    assert end[-1] == pytest.approx(start[0], rel=0.01)
    assert end[:51] == pytest.approx(0.2) and start[50:] == pytest.approx(0.1)


@pytest.mark.parametrize("first_s", [0.1, 0.2, 0.33, 0.45])
def test_overlaps_continue_the_beat(first_s):
    left, right = (
        detect_beats(to_mel(encode(beats(345, first_s=s), SMALL), SMALL), SMALL)
        for s in (0.1, first_s)
    )
    overlap = choose_overlap(left, right, wanted=90, most=172, rate_hz=RATE)
    beat = (345 - overlap.frames) / RATE + first_s - 0.1
    assert abs(beat - 0.5 * round(beat / 0.5)) < 0.025
    assert abs(overlap.frames - 90) <= np.ceil(0.25 * RATE)


def test_clips_are_joined_to_one_sound_without_a_gap(clips, tmp_path):
    out = tmp_path / "song.flac"
    paths = stitch([clips[0].parent], out)
    assert [path.suffix for path in paths] == [".flac", ".png", ".cue", ".json"]
    sound, _ = soundfile.read(out)
    image, fmt = read_image(out.with_suffix(".png"))
    facts = json.loads(out.with_suffix(".json").read_text())
    assert fmt == SMALL and len(sound) == image.shape[1] * SMALL.hop_length
    assert [clip["file"] for clip in facts["clips"]] == [path.name for path in clips]
    assert facts["duration_s"] == pytest.approx(len(sound) / SMALL.sr, abs=1e-3)
    assert abs(facts["seams"]["z"]) < 1.5 and facts["seams"]["joints"] == 2
    assert all(joint["off_beat_s"] < 0.025 for joint in facts["joined"])
    assert 'TITLE "clip-2"' in out.with_suffix(".cue").read_text()


def test_clips_are_unchanged_between_joints(clips):
    options = StitchOptions(match_gain=False)
    read = read_clips(clips)
    plan = lay_out_clips(read, options)
    wide = render_song_image(read, plan)
    (_, first), (second, _) = plan.joints()
    start = plan.starts[1]
    assert (wide[:, first:second] == read[1].image[:, first - start : second - start]).all()


def test_a_loop_of_clips_joins_the_last_to_the_first(clips, tmp_path):
    paths = stitch(clips, tmp_path / "loop.wav", StitchOptions(loop=True), quality="fast")
    facts = json.loads(paths[-1].read_text())
    assert len(facts["joined"]) == 3 and facts["joints_s"][-1][0] == 0
    # 120 beats a minute: a loop on the beat has a whole number of half seconds.
    beats_in_it = facts["duration_s"] / 0.5
    assert abs(beats_in_it - round(beats_in_it)) < 0.15


def test_stereo_and_mono_clips_become_stereo(clips, tmp_path):
    sides = np.concatenate([beats(345), 0.3 * beats(345)])
    write_image(clips[1], encode(sides, SMALL), SMALL)
    paths = stitch(clips, tmp_path / "x.wav", quality="fast")
    assert soundfile.info(paths[0]).channels == 2


def test_images_without_a_format_join_by_the_given_one(rng, tmp_path):
    for name in "ab":
        plain = Image.fromarray(rng.integers(0, 256, (256, 256), dtype=np.uint8))
        plain.save(tmp_path / f"{name}.png")
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    with pytest.raises(InputError, match=r"a\.png.*--format"):
        read_clips(files)
    assert [clip.fmt for clip in read_clips(files, NANO)] == [NANO, NANO]


def test_clips_that_do_not_fit_together_are_refused_in_one_line(clips, tmp_path):
    other = tmp_path / "other.png"
    write_image(other, np.zeros((256, 256), np.uint8), NANO)
    short = tmp_path / "short.png"
    write_image(short, np.zeros((64, 20), np.uint8), SMALL)
    odd = SMALL.model_copy(update={"name": "odd"})
    write_image(other.with_stem("odd"), np.zeros((64, 256), np.uint8), odd)
    for inputs, out, message in (
        ([clips[0]], "x.wav", "1 clips; two or more"),
        ([clips[0], tmp_path / "odd.png"], "x.wav", "of format 'odd', but clip-0.png is of 'nano'"),
        ([clips[0], other], "x.wav", "'nano' with other settings"),
        ([clips[0], short], "x.wav", "0.23 s; two overlaps of 1.0 s do not fit"),
        (clips, "x.ogg", "sound is written as"),
        (clips, "clips/clip-0.flac", "would replace the clip"),
    ):
        with pytest.raises(InputError, match=message) as refusal:
            stitch(inputs, tmp_path / out)
        assert "\n" not in str(refusal.value)


def test_a_cue_sheet_has_times_in_75ths_and_at_most_99_tracks():
    tracks = [Track(0.0, 'a "b"\nc'), Track(61.52, "d")]
    sheet = cue_sheet_lines(tracks)
    assert "    TITLE \"a 'b' c\"" in sheet and "    INDEX 01 01:01:39" in sheet
    many = cue_sheet_lines([Track(float(i), str(i)) for i in range(250)])
    assert sum("TRACK" in line for line in many) == 84


def cue_sheet_lines(tracks):
    return cue_sheet(Path("x.flac"), tracks).splitlines()


def test_memory_grows_with_the_images_only(clips):
    peaks, pixels = [], []
    for copies in (4, 12):
        tracemalloc.start()
        read = read_clips(clips * copies)
        pixels.append(render_song_image(read, lay_out_clips(read, StitchOptions())).size)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Bytes a pixel: the clips, the wide image, and what is known of each clip's onsets.
    assert peaks[1] - peaks[0] < 3 * (pixels[1] - pixels[0])
