import pytest

from dataset_tools.fairness import fairness_warnings
from dataset_tools.regularisation import too_few_reg


def rows(n, split="train", origin="sidecar", loudness=-14.0, tracks=None):
    """Clips of ``tracks`` tracks, each of its own if that is None."""
    return [
        {
            "split": split, "track": f"{split}-{i % (tracks or n)}", "artist": None,
            "caption": f"song {i}", "caption_origin": origin, "loudness_lufs": loudness,
            "augmentation": None, "source": "folder",
        }
        for i in range(n)
    ]  # fmt: skip


FAIR = [*rows(40), *rows(10, "test")]


def test_a_fair_dataset_has_no_warning():
    assert fairness_warnings(FAIR, {"loudness_lufs": -14.0}) == []
    assert fairness_warnings(rows(9), {}) == []  # no test split is a choice


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (rows(8, "test", tracks=1), "1 track of 1 artist"),
        (rows(8, "test", tracks=4), "4 tracks of 4 artists"),
        ([row | {"artist": "Ana"} for row in rows(9, "test")], "9 tracks of 1 artist"),
    ],
)
def test_few_test_tracks_or_artists_are_named(test, words):
    (line,) = fairness_warnings([*rows(90), *test], {})
    assert words in line and "--test" in line


def test_captions_from_file_names_are_counted_from_a_tenth_on():
    few, many = rows(4, origin="rule"), rows(5, origin="rule")
    assert fairness_warnings([*FAIR[4:], *few], {}) == []
    (line,) = fairness_warnings([*FAIR[5:], *many], {})
    assert line.startswith("5 of 50 captions are file names or titles, such as 'song 0'")


def test_captions_from_the_sound_are_offered_from_a_third_on():
    (few,) = fairness_warnings([*rows(40), *rows(20, origin="title")], {})
    (many,) = fairness_warnings([*rows(40), *rows(21, origin="title")], {})
    assert "--describe" not in few and "--describe clap:" in many


def test_nano_clap_on_other_music_is_warned_of():
    nano_clap, music = {"describe": "nano-clap 842c"}, rows(9)
    (line,) = fairness_warnings(music, nano_clap)
    assert line.startswith("nano-clap knows only MiniMIDI's music")
    assert fairness_warnings([row | {"source": "minimidi"} for row in music], nano_clap) == []
    assert fairness_warnings(music, {"describe": "clap 01ab"}) == []


def test_a_handful_of_regularisation_clips_is_not_used():
    (line,) = fairness_warnings([*FAIR, *rows(2, "reg")], {"reg_repeats": 1})
    assert "each of 2 clips would be seen 20 times as often" in line
    assert too_few_reg(8, 2) is None and too_few_reg(9, 2)
    assert too_few_reg(1000, 1, reg_repeats=2) is None and too_few_reg(10, 0) is None


def test_tracks_that_their_peaks_kept_below_the_loudness_are_counted():
    quiet = [row | {"track": "quiet"} for row in rows(3, loudness=-18.25)]
    (line,) = fairness_warnings([*FAIR, *quiet], {"loudness_lufs": -14.0})
    assert line.startswith("1 of 51 tracks did not reach -14 LUFS (the quietest has -18.2)")
