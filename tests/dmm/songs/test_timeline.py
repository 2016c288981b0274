from pathlib import Path

import numpy as np
import pytest

from dmm.errors import InputError
from dmm.songs.timeline import read_timeline, timeline_from_options

PART = '[[part]]\nstart = {}\nseconds = {}\nprompt = "{}"\n'


@pytest.fixture
def written(tmp_path):
    def write(*parts, head=""):
        path = tmp_path / "t.toml"
        path.write_text(head + "".join(PART.format(*part) for part in parts))
        return path

    return write


def test_a_timeline_is_read_in_order(written):
    timeline = read_timeline(written((0, 20, "a"), (20, 15.5, "b"), head="crossfade_s = 2\n"))
    assert [part.prompt for part in timeline.part] == ["a", "b"]
    assert (timeline.seconds, timeline.borders_s, timeline.crossfade_s) == (35.5, [20], 2)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([(0, 20, "a"), (21, 5, "b")], "part 1 ends at 20 s, but part 2 begins at 21 s: 1 s with"),
        ([(0, 20, "a"), (18, 5, "b")], "begins at 18 s: 2 s with both; let it begin at 20"),
        ([(3, 20, "a")], "nothing plays before 3 s; begin part 1 at 0"),
        ([(0, 0, "a")], "part 1: seconds: input should be greater than 0; got 0"),
        ([(0, 5, "")], "part 1: prompt: "),
        ([(0, "inf", "a")], "seconds is inf: a finite number is needed"),
        ([], "part: field required"),
    ],
)
def test_gaps_overlaps_and_invalid_values_are_errors_of_one_line(written, parts, message):
    with pytest.raises(InputError, match=message) as refusal:
        read_timeline(written(*parts))
    assert "\n" not in str(refusal.value) and "t.toml" in str(refusal.value)


def test_an_unknown_key_names_its_nearest_neighbour(written, tmp_path):
    with pytest.raises(InputError, match="no setting 'crossfade'; did you mean 'crossfade_s'"):
        read_timeline(written((0, 5, "a"), head="crossfade = 2\n"))
    path = written((0, 5, "a"))
    path.write_text(path.read_text() + "secnds = 3\n")
    with pytest.raises(InputError, match="part 1: no setting 'secnds'; did you mean 'seconds'"):
        read_timeline(path)
    path.write_text('[[part]]\nstart = 0\nseconds = 5\npromt = "a"\n')
    with pytest.raises(InputError, match="no setting 'promt'; did you mean 'prompt'"):
        read_timeline(path)
    path.write_text("[[part]\n")
    with pytest.raises(InputError, match="not valid TOML"):
        read_timeline(path)
    with pytest.raises(InputError, match="no such file"):
        read_timeline(tmp_path / "none.toml")


def test_prompts_crossfade_around_their_borders(written):
    timeline = read_timeline(
        written((0, 10, "a"), (10, 10, "b"), (20, 10, "c"), head="crossfade_s = 4\n")
    )
    weights = timeline.weights(np.linspace(0, 29.9, 200).tolist())
    np.testing.assert_allclose(weights.sum(1), 1)
    assert timeline.weights([9.0]).tolist() == [[0.75, 0.25, 0.0]]
    round_about = timeline.weights([0.0, 1.0, 29.0], loop=True)
    assert round_about.tolist() == [[0.5, 0, 0.5], [0.75, 0, 0.25], [0.25, 0, 0.75]]


def test_bars_are_four_beats_long():
    assert timeline_from_options(prompt="a", bars=4, bpm=90.0).seconds == pytest.approx(
        4 * 4 * 60 / 90
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "nothing to play"),
        ({"prompt": "a"}, "how long"),
        ({"prompt": "a", "bars": 4}, "how long"),
        ({"prompt": "a", "seconds": float("inf")}, "--seconds inf"),
        ({"prompt": "a", "seconds": 0.0}, "--seconds 0.0"),
        ({"prompt": "a", "bars": 4, "bpm": 0.0}, "--bars 4 with --bpm 0.0"),
        ({"prompt": "a", "bars": 0, "bpm": 90.0}, "--bars 0 with --bpm 90.0"),
        ({"path": Path("t.toml"), "bpm": 90.0}, "--timeline says what and how long"),
        ({"prompt": "a", "seconds": 4.0, "bars": 4, "bpm": 90.0}, "how long"),
    ],
)
def test_a_song_needs_a_prompt_and_one_length(said, message):
    with pytest.raises(InputError, match=message):
        timeline_from_options(**said)
