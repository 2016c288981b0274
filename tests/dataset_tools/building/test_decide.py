"""Splits of tracks and refusals of clips, once all are measured."""

import numpy as np
import pytest

from dataset_tools.building.decide import place_tracks
from dataset_tools.building.options import BuildOptions
from dataset_tools.building.records import (
    ClipFacts,
    TrackRecord,
    can_relocate,
    read_valid_record,
    relocate_clips,
    write_record,
)
from dataset_tools.sources import Track
from dataset_tools.splits import assign_splits, rare_combinations

QUIET = {"loudness_lufs": -20.0}


def track(n, **facts):
    said = {"caption": "slow piano", "caption_origin": "sidecar"} | facts
    return Track(f"t{n}", "folder", f"{n}.wav", sha256=f"{n:064d}", stream=len, **said)


def record(track, scores=(0.1, 0.1), place="train"):
    clips = [
        ClipFacts(f"{track.id}-{i:04d}", 5.0 * i, 0.0, QUIET, p, "") for i, p in enumerate(scores)
    ]
    return TrackRecord("key", place, clips, [], {}, [], None)


def placed(tracks, scores=None, prints=None, **options):
    records = {t.id: record(t, (scores or {}).get(t.id, (0.1, 0.1))) for t in tracks}
    clips = [clip.id for r in records.values() for clip in r.clips]
    rng = np.random.default_rng(0)
    prints = {c: rng.integers(0, 2**32, 200, np.uint32) for c in clips} | (prints or {})
    options = BuildOptions(vocal_classifier="none", **options)
    return place_tracks(tracks, records, prints, options, {t.id: {} for t in tracks})


def test_sung_tracks_become_regularisation_and_others_are_trained_on():
    tracks = [track(n) for n in range(8)] + [track(8, caption="folk song, female vocals")]
    placement = placed(tracks, test=0.0, val=0.0)
    assert [placement.places[t.id] for t in tracks] == ["train"] * 8 + ["reg"]


def test_sung_tracks_of_a_test_group_are_left_out_and_named():
    tracks = [track(n) for n in range(8)] + [track(8, caption="folk song, female vocals")]
    placement = placed(tracks, {"t8": (0.99, 0.97)}, test=1.0, val=0.0)
    assert placement.places["t8"] == "out"
    assert placement.rejected["t8"].reason.startswith("vocal: a voice")
    assert placed(tracks, test=1.0, val=0.0, vocals="keep").places["t8"] == "test"


def test_truth_overrules_captions():
    tracks = [track(n, truth={"vocals": n == 3}, caption="a song with vocals") for n in range(5)]
    places = placed(tracks, test=0.0, val=0.0).places
    assert [places[t.id] for t in tracks] == ["train"] * 3 + ["reg", "train"]


def test_windows_with_a_voice_are_left_out_of_instrumental_tracks():
    tracks = [track(n, caption="no vocals, instrumental piano") for n in range(6)]
    scores = {t.id: (0.02, 0.02, 0.03, 0.02, 0.03, 0.02) for t in tracks}
    scores["t2"] = (0.02, 0.02, 0.9999, 0.02, 0.02, 0.02)
    placement = placed(tracks, scores, test=0.0, val=0.0)
    if placement.places["t2"] == "train":
        assert [*placement.rejected] == ["t2-0002"]


def test_near_duplicates_of_another_track_are_refused_and_loops_are_not():
    tracks = [track(n) for n in range(3)]
    rng = np.random.default_rng(1)
    same = rng.integers(0, 2**32, 200, np.uint32)
    prints = {"t0-0000": same, "t0-0001": same, "t2-0001": same}
    placement = placed(tracks, prints=prints, test=0.0, val=0.0)
    assert [*placement.rejected] == ["t2-0001"]
    assert placement.rejected["t2-0001"].reason.startswith("near-duplicate: 100% like 0.wav")
    assert not placed(tracks, prints=prints, test=0.0, val=0.0, duplicates=True).rejected


def test_regularisation_tracks_are_not_counted_in_the_splits():
    tracks = [track(n) for n in range(4)] + [track(n, is_reg=True) for n in range(4, 40)]
    placement = placed(tracks, test=0.3, val=0.0)
    assert {placement.places[t.id] for t in tracks[4:]} == {"reg"}
    assert {placement.places[t.id] for t in tracks[:4]} == {"train", "test"}


def test_rare_combinations_go_to_the_test_split_with_their_whole_group():
    names = {"t0": ["oud", "harp"], **{f"t{n}": ["bass", "drums"] for n in range(1, 9)}}
    tracks = [track(n, artist=f"artist {n % 4}") for n in range(9)]
    rare = rare_combinations(names, 1)
    splits, _ = assign_splits(tracks, test=0.0, val=0.0, held_out=rare)
    assert rare == {"t0"} and {t for t, s in splits.items() if s == "test"} == {"t0", "t4", "t8"}


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [("train", "reg", True), ("train", "test", False), ("test", "train", False),
     ("reg", "out", True), ("out", "train", False)],
)  # fmt: skip
def test_tracks_are_moved_where_nothing_new_must_be_written(before, after, moves):
    assert can_relocate(record(track(1), place=before), after, []) == moves


def test_a_track_that_moved_is_read_back_from_where_it_is(tmp_path):
    one = track(1)
    (tmp_path / "train").mkdir()
    files = {f"t1-000{i}.png": "" for i in range(2)}
    for name in files:
        (tmp_path / "train" / name).write_text("x")
        files[name] = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    before = TrackRecord("key", "train", record(one).clips, [], files, [], None)
    write_record(tmp_path, one.id, before)
    after = relocate_clips(tmp_path, one.id, before, "reg", ["t1-0001"])
    assert read_valid_record(tmp_path, one, "key") == after
    assert [p.name for p in tmp_path.glob("*/*.png")] == ["t1-0000.png"]
    assert relocate_clips(tmp_path, one.id, after, "out", []).files == {}
    assert not list(tmp_path.glob("*/*.png"))
