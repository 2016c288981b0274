import shutil

import numpy as np
import pytest

from dmm.embedders import load_embedder
from dmm.errors import InputError
from eval.clips import audio_files, embed_files, embed_reference, reference_files


class Counting:
    """Gives every file the same direction and counts the files it was asked for."""

    name, version, dim, protocol = "counting", "1", 2, "none"

    def __init__(self):
        self.asked = 0

    def embed(self, audio_files):
        self.asked += len(audio_files)
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
    again.name, again.version = fresh.name, fresh.version
    second = embed_files(files, again)
    assert again.asked == 0
    assert second.rows.tobytes() == first.rows.tobytes()


def test_a_new_version_embeds_anew(clips):
    embedder = Counting()
    embed_files(audio_files(clips), embedder)
    embedder.version = "2"
    embed_files(audio_files(clips), embedder)
    assert embedder.asked == 12


def test_one_bad_file_does_not_cost_its_batch(clips):
    shutil.copy(clips / "clip-0.flac", clips / "bad.flac")
    (clips / "bad.flac").write_bytes(b"other bytes")
    assert len(embed_files(audio_files(clips), Counting())) == 6


def test_a_row_that_is_not_finite_is_left_out(clips):
    class Broken(Counting):
        def embed(self, audio_files):
            rows = super().embed(audio_files)
            rows[0] = np.nan
            return rows

    assert "no finite embedding" in embed_files(audio_files(clips), Broken()).skipped[0]


def test_missing_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        audio_files(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no audio"):
        audio_files(tmp_path)


def test_a_lone_clip_is_refused(tmp_path, write_clips, tone):
    folder = write_clips(tmp_path / "one", [tone(220)])
    with pytest.raises(InputError, match=r"1 of 1 clips can be read.*2 or more; make or add more"):
        embed_files(audio_files(folder), Counting())


def test_a_dataset_lends_its_test_split_and_a_folder_all_its_sound(dataset, clips):
    assert len(reference_files(dataset)) == 8
    assert len(reference_files(clips)) == 6


def test_a_dataset_without_test_sound_says_what_to_do(dataset):
    shutil.rmtree(dataset / "test")
    with pytest.raises(InputError, match="larger test share"):
        reference_files(dataset)


def test_a_reference_of_copies_is_refused(tmp_path, write_clips, tone):
    folder = write_clips(tmp_path / "copies", [tone(220)] * 4)
    with pytest.raises(InputError, match="remove copies"):
        embed_reference(folder, Counting())


def test_an_unknown_embedder_names_the_known_ones():
    with pytest.raises(InputError, match="clap, mel-stats"):
        load_embedder("vggish")
