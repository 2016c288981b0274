"""Ids of clips, those of very long tracks among them."""

import re
from itertools import permutations

from dataset_tools.building.clip_ids import CLIP_ID, clip_id, copy_id, window_number
from dataset_tools.building.output_folder import remove_stray_files
from dataset_tools.sources import track_id

TRACK = track_id("A mix.flac", "0123456789" * 6)
WINDOWS = (0, 7, 100, 1000, 9999, 10_000, 12_345, 100_000)
IDS = [clip_id(TRACK, window) for window in WINDOWS]


def test_an_id_fits_the_pattern_and_holds_its_window():
    for window, clip in zip(WINDOWS, IDS, strict=True):
        for name in (clip, copy_id(clip, 1), copy_id(clip, 12)):
            assert re.fullmatch(CLIP_ID, name) and window_number(name) == window


def test_no_id_is_the_beginning_of_another():
    copies = [copy_id(clip, number) for clip in IDS for number in (1, 11)]
    assert not [pair for pair in permutations(IDS + copies, 2) if pair[0].startswith(pair[1])]


def test_files_of_a_removed_window_are_removed_and_other_files_are_not(tmp_path):
    (tmp_path / "train").mkdir()
    ends = (".png", ".txt", "_0256x0256_sdxl.npz")
    strangers = {f"{TRACK}-12345.png", f"{TRACK}-012.png", "x12345.png"}
    for name in strangers | {clip + end for clip in IDS for end in ends}:
        (tmp_path / "train" / name).touch()
    remove_stray_files(tmp_path, keep={f"train/{IDS[0]}"})
    left = {path.name for path in (tmp_path / "train").iterdir()}
    assert left == strangers | {IDS[0] + end for end in ends}
