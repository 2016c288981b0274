import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dmm.errors import InputError
from dmm.registry import load_embedder
from eval import clips as clips_module
from eval.clips import (
    audio_files,
    audio_of_test_split,
    embed_files,
    embed_reference,
    training_images_or_audio,
)


class Counting:
    """Gives every file the same direction and counts the files that it embeds."""

    name, version, dim, protocol, identity = "counting", "1", 2, "none", None

    def __init__(self):
        self.embedded = 0

    def embed(self, audio_files):
        self.embedded += len(audio_files)
        if any(path.stem.startswith("bad") for path in audio_files):
            raise InputError(f"{audio_files[0]}: cannot be read")
        return np.tile(np.array([[0.6, 0.8]], np.float32), (len(audio_files), 1))


def test_a_corrupt_clip_is_skipped_named_and_counted(clips, capsys):
    (clips / "bad.flac").write_bytes(b"this is no sound")
    found = embed_files(audio_files(clips), load_embedder("mel-stats"))
    assert len(found) == 6
    assert len(found.skipped) == 1
    assert "bad.flac" in found.skipped[0]
    out, err = capsys.readouterr()
    assert out == ""
    assert "skipped" in err


def test_the_second_time_comes_from_the_cache_with_the_same_bytes(clips):
    files, fresh, again = audio_files(clips), load_embedder("mel-stats"), Counting()
    first = embed_files(files, fresh)
    again.name, again.version, again.dim = fresh.name, fresh.version, fresh.dim
    second = embed_files(files, again)
    assert again.embedded == 0
    assert second.rows.tobytes() == first.rows.tobytes()


def test_one_more_clip_embeds_one_clip_and_nothing_more(clips, write_clips, tone):
    embedder = Counting()
    embed_files(audio_files(clips), embedder)
    assert embedder.embedded == 6
    write_clips(clips / "more", [tone(500)])
    embed_files(audio_files(clips), embedder)
    assert embedder.embedded == 7


def test_one_sound_under_two_names_is_embedded_once(clips):
    for name in ("a.flac", "z.flac"):
        shutil.copy(clips / "clip-0.flac", clips / name)
    embedder = Counting()
    found = embed_files(audio_files(clips), embedder)
    assert (len(found), embedder.embedded) == (8, 6)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: path.write_bytes(b""),
        lambda path: np.save(path, np.full(2, np.nan, np.float32)),
        lambda path: np.save(path, np.ones(3, np.float32)),
    ],
    ids=["torn", "empty", "nan", "another-size"],
)
def test_a_broken_file_of_the_cache_counts_as_absent(clips, tmp_path, spoil):
    embedder = Counting()
    first = embed_files(audio_files(clips), embedder)
    kept = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(kept) == 6
    spoil(kept[2])
    again = embed_files(audio_files(clips), embedder)
    assert embedder.embedded == 7
    assert (again.rows == first.rows).all()


def test_a_new_version_embeds_again(clips):
    embedder = Counting()
    embed_files(audio_files(clips), embedder)
    embedder.version = "2"
    embed_files(audio_files(clips), embedder)
    assert embedder.embedded == 12


def test_one_bad_file_does_not_lose_its_batch(clips):
    shutil.copy(clips / "clip-0.flac", clips / "bad.flac")
    (clips / "bad.flac").write_bytes(b"other bytes")
    assert len(embed_files(audio_files(clips), Counting())) == 6


def test_a_row_that_is_not_finite_is_skipped(clips):
    class Broken(Counting):
        def embed(self, audio_files):
            rows = super().embed(audio_files)
            rows[0] = np.nan
            return rows

    assert "no finite embedding" in embed_files(audio_files(clips), Broken()).skipped[0]


def test_every_name_of_an_unreadable_clip_is_reported_as_given(clips, monkeypatch):
    for name in ("bad-1.flac", "bad-2.flac"):
        (clips / name).write_bytes(b"this is no sound")
    monkeypatch.chdir(clips.parent)
    found = embed_files(audio_files(Path("clips")), load_embedder("mel-stats"))
    assert [line.partition(": ")[0] for line in found.skipped] == [
        "clips/bad-1.flac", "clips/bad-2.flac"
    ]  # fmt: skip


def test_by_ray_the_rows_are_the_same_and_the_cache_is_written_here(clips, tmp_path, monkeypatch):
    here, asked = embed_files(audio_files(clips), load_embedder("mel-stats")), []
    shutil.rmtree(tmp_path / "cache")

    def elsewhere(function, jobs, processes, ray):
        """What a worker does: another process has only what was pickled."""
        for job in jobs:
            asked.append((ray, all(path.is_absolute() for path in job)))
            yield pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(function))(job)))

    monkeypatch.setattr(clips_module, "map_in_order", elsewhere)
    monkeypatch.setattr(clips_module, "BATCH", 4)
    there = embed_files(
        audio_files(clips), load_embedder("mel-stats"), ray_address="ray://head:10001"
    )
    assert asked == [("ray://head:10001", True)] * 2
    assert (there.rows == here.rows).all()
    assert len([*(tmp_path / "cache").rglob("*.npy")]) == 6


BY_RAY = """
import os, sys
from pathlib import Path
from dmm.registry import load_embedder
from eval.clips import audio_files, embed_files

clips, weights, cache = map(Path, sys.argv[1:])
for where in (None, "local"):
    os.environ["DMM_CACHE"] = str(cache / str(where))
    found = embed_files(audio_files(clips), load_embedder("clap", weights), ray_address=where)
    print(found.rows.tobytes().hex(), found.skipped)
"""


@pytest.mark.slow
def test_a_real_ray_gives_the_same_rows(clips, tmp_path, made_clap):
    (clips / "bad.flac").write_bytes(b"this is no sound")
    # its own process: Ray cannot pickle what is type-checked here
    command = [sys.executable, "-W", "ignore", "-c", BY_RAY, clips, made_clap, tmp_path]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    here, there = found.stdout.splitlines()
    assert here == there
    assert "bad.flac" in here


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        audio_files(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no audio"):
        audio_files(tmp_path)


def test_clips_may_have_every_suffix_of_a_datasets_music(tmp_path):
    for name in ("a.oga", "b.aac", "c.WAV"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in audio_files(tmp_path)] == ["a.oga", "b.aac", "c.WAV"]


def test_no_clips_are_refused():
    with pytest.raises(InputError, match="0 of 0 clips can be read"):
        embed_files([], load_embedder("mel-stats"))


def test_a_lone_clip_is_refused(tmp_path, write_clips, tone):
    folder = write_clips(tmp_path / "one", [tone(220)])
    with pytest.raises(InputError, match=r"1 of 1 clips can be read.*2 or more; make or add more"):
        embed_files(audio_files(folder), Counting())


def test_the_reference_is_a_datasets_test_split_or_all_audio_of_a_folder(dataset, clips):
    assert len(audio_of_test_split(dataset)) == 8
    assert len(audio_of_test_split(clips)) == 6


def test_training_clips_are_images_and_no_audio(dataset):
    for split in ("train", "reg", "val"):
        (dataset / split).mkdir()
        (dataset / split / "a.png").write_bytes(b"")
    assert [path.parent.name for path in training_images_or_audio(dataset)] == ["train", "reg"]
    with pytest.raises(InputError, match=r"holds images but no audio; .*dmm decode"):
        audio_files(dataset / "train")


def test_a_dataset_without_test_sound_says_what_to_do(dataset):
    shutil.rmtree(dataset / "test")
    with pytest.raises(InputError, match="larger test share"):
        audio_of_test_split(dataset)


def test_a_reference_of_copies_is_refused(tmp_path, write_clips, tone):
    folder = write_clips(tmp_path / "copies", [tone(220)] * 4)
    with pytest.raises(InputError, match="remove copies"):
        embed_reference(folder, Counting())


def test_an_unknown_embedder_names_the_known_ones():
    with pytest.raises(InputError, match="clap, mel-stats"):
        load_embedder("vggish")
