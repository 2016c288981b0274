import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dmm.codec.image import write_image
from dmm.codec.mel import encode, load_format
from dmm.errors import InputError
from dmm.registry import load_embedder
from eval.sets import (
    open_clips,
    open_held_out,
    open_reference,
    open_training,
    refuse_swapped,
    short_names,
    split_off_leaks,
)


@pytest.fixture
def embedder():
    return load_embedder("mel-stats")


def test_short_names_hide_paths_and_distinguish_equal_folders():
    folders = [Path(f"/home/me/{run}/clips") for run in ("one", "two")]
    assert short_names([*folders, Path("/data/test")]) == ["one/clips", "two/clips", "test"]
    assert short_names([folders[0], folders[0]]) == ["clips", "clips"]


def test_swapped_clips_and_real_ones_are_refused(clips, dataset, embedder):
    ours, real = open_clips(clips, embedder), open_reference(dataset, embedder)
    refuse_swapped(ours, real)
    with pytest.raises(InputError, match=r"holds generated clips .* name the clips first"):
        refuse_swapped(real, ours)


def test_a_datasets_test_split_can_be_scored_as_clips(dataset, embedder):
    own = open_clips(dataset, embedder)
    assert own.ids[0] == "clip-0"
    assert own.prompts[0] == "real tone"


def test_held_out_clips_that_were_trained_on_are_skipped_and_named(
    clips, dataset, embedder, tmp_path, write_clips, tone
):
    train = write_clips(tmp_path / "train", [tone(hz) for hz in (500, 600)], prompt=None)
    shutil.copy(dataset / "test" / "clip-3.flac", train / "copy.flac")
    trained = open_training(train, embedder)
    kept, leaked = split_off_leaks(open_held_out(dataset, trained, embedder), trained)
    assert leaked == ["clip-3"]
    assert len(kept) == 7


def test_training_clips_in_place_of_held_out_ones_are_refused(dataset, embedder):
    trained = open_training(dataset / "test", embedder)
    with pytest.raises(InputError, match=r"8 of 8 clips are training clips .* such as clip-0"):
        split_off_leaks(open_reference(dataset, embedder), trained)


def test_held_out_clips_go_through_the_image_if_training_clips_do(dataset, embedder, tone):
    fmt = load_format("nano")
    sound = np.resize(tone(300), (1, fmt.n_frames * fmt.hop_length))
    (dataset / "train").mkdir()
    for path in list((dataset / "test").glob("*.flac"))[2:]:
        path.unlink()
    for path in [dataset / "train" / "a.png", *(dataset / "test").glob("*.flac")]:
        write_image(path.with_suffix(".png"), np.asarray(encode(sound, fmt)), fmt)
    trained = open_training(dataset, embedder)
    held_out = open_held_out(dataset, trained, embedder)
    assert {path.suffix for path in held_out.clips.files} == {".png"}
    assert trained.ids == ["train/a"]


def test_a_run_is_scored_by_its_newest_previews(tmp_path, write_clips, tone, embedder):
    for step, hz in (("step-000000", 200), ("step-000200", 300)):
        folder = tmp_path / "run" / "previews" / step
        write_clips(folder, [tone(hz), tone(hz + 50)], prompt=None)
        for seed in (0, 1):
            (folder / f"clip-{seed}.flac").rename(folder / f"piano-slow-{seed}.flac")
        drawn = {"clips": [["anchor, piano, slow", 1], ["anchor, piano, slow", 0]]}
        (folder / "preview.json").write_text(json.dumps({"drawn": drawn}), encoding="utf-8")
    own = open_clips(tmp_path / "run", embedder)
    assert own.folder.name == "step-000200"
    assert [(x.prompt, x.seed) for x in own.origins] == [
        ("anchor, piano, slow", 0),
        ("anchor, piano, slow", 1),
    ]


def test_real_clips_in_the_current_folder_are_tracks_of_their_own(clips, embedder, monkeypatch):
    monkeypatch.chdir(clips)
    assert open_reference(Path("."), embedder).track_count == 6
