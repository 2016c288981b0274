"""Hugging Face datasets: Parquet and AudioFolder, read one row at a time."""

import builtins
import json
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_tools.sources import Rejected, SourceRequest, Track
from dataset_tools.sources.huggingface import tracks
from dmm.errors import InputError


def sound(music, n):
    return music(f"sounds/{n}.wav", 1.0).read_bytes()


@pytest.fixture
def parquet(tmp_path):
    """Write rows to tmp_path/data/NAME.parquet, in row groups of two; returns the folder."""

    def write(rows, name="train", **kwargs):
        path = tmp_path / "data" / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, **kwargs), path, row_group_size=2)
        return path.parent

    return write


def found(source, **request):
    everything = list(tracks(SourceRequest(source, **request)))
    refused = {r.input: r.reason for r in everything if isinstance(r, Rejected)}
    return [t for t in everything if isinstance(t, Track)], refused


def test_rows_of_parquet_are_tracks_whose_sound_is_read_again_from_their_row(music, parquet):
    data = [sound(music, n) for n in range(5)]
    rows = [
        {"audio": {"bytes": d, "path": f"{n}.wav"}, "text": f"t{n}"} for n, d in enumerate(data)
    ]
    good, refused = found(parquet(rows))
    assert [t.caption for t in good] == [f"t{n}" for n in range(5)] and refused == {}
    for n, track in enumerate(good):
        expected = music(f"again/{n}.wav", samples=track.load(22050, 1).T)
        again = pickle.loads(pickle.dumps(track.load))
        assert len(pickle.dumps(again)) < 1000 and again(22050, 1).shape == (1, 22050)
        assert expected.read_bytes() == data[n]


def test_captions_in_a_list_or_in_rows_with_the_same_sound_are_kept_apart(music, parquet):
    same = {"bytes": sound(music, 0), "path": "a.wav"}
    rows = [{"audio": same, "captions": ["one", "two"]}, {"audio": same, "captions": ["three"]}]
    (track,), _ = found(parquet(rows))
    assert (track.caption, track.more_captions) == ("one", ("two", "three"))


def test_ids_follow_the_sound_not_the_row(music, parquet):
    rows = [{"audio": {"bytes": sound(music, n), "path": "x.wav"}, "text": "t"} for n in range(2)]
    there, _ = found(parquet(rows))
    back, _ = found(parquet(rows[::-1]))
    assert [t.id for t in there] == [t.id for t in back[::-1]]


def test_columns_are_listed_when_no_captions_are_found_and_one_can_be_chosen(music, parquet):
    folder = parquet([{"audio": {"bytes": sound(music, 0), "path": None}, "prose": "calm"}])
    with pytest.raises(InputError, match=r"no column of captions .*audio, prose; --caption-column"):
        found(folder)
    assert found(folder, caption_column="prose")[0][0].caption == "calm"


def test_names_of_classes_can_be_captions(music, parquet):
    kind = {"info": {"features": {"genre": {"names": ["jazz", "folk"], "_type": "ClassLabel"}}}}
    audio = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    schema = pa.schema(
        {"audio": audio, "genre": pa.int64()}, metadata={"huggingface": json.dumps(kind)}
    )
    row = {"audio": {"bytes": sound(music, 0), "path": None}, "genre": 1}
    assert found(parquet([row], schema=schema), caption_column="genre")[0][0].caption == "folk"


def test_rows_without_sound_words_or_with_paths_outside_are_refused(music, parquet):
    data = sound(music, 0)
    rows = [
        {"audio": {"bytes": None, "path": None}, "text": "x"},
        {"audio": {"bytes": b"", "path": "a.wav"}, "text": "x"},
        {"audio": {"bytes": data, "path": "a.wav"}, "text": " "},
        {"audio": {"bytes": None, "path": "../../etc/passwd"}, "text": "x"},
        {"audio": {"bytes": None, "path": "gone.wav"}, "text": "x"},
    ]
    good, refused = found(parquet(rows))
    kinds = [reason.split(":")[0] for reason in refused.values()]
    assert good == []
    assert kinds == ["no sound", "empty file", "no caption", "path leaves the folder", "no audio"]


def test_a_row_without_sound_is_refused_alone(music, parquet):
    audio = {"bytes": sound(music, 0), "path": "a.wav"}
    rows = [{"audio": audio, "text": "one"}, {"audio": None, "text": "two"}]
    good, refused = found(parquet(rows))
    assert [track.caption for track in good] == ["one"]
    assert refused == {"train.parquet row 1": "no sound: this row has none"}


def test_memory_does_not_grow_with_the_file(parquet):
    big = [{"audio": {"bytes": bytes([n]) * 2**20, "path": None}, "text": "t"} for n in range(24)]
    folder, most = parquet(big), 0
    del big
    before = pa.total_allocated_bytes()
    for _ in tracks(SourceRequest(folder)):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 8 * 2**20


def test_audiofolder_is_streamed_with_its_metadata(music):
    music("train/a.wav", 1.0)
    music("train/b.flac", 1.0)
    lines = [
        {"file_name": f"{n}", "text": f"words {n}", "lyrics": "la la"} for n in ("a.wav", "b.flac")
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    (music.root / "train" / "metadata.jsonl").write_text(text)
    good, refused = found(music.root)
    assert [t.caption for t in good] == ["words a.wav", "words b.flac"] and refused == {}
    assert good[0].load(22050, 1).shape == (1, 22050) and good[0].has_lyrics
    assert "la la" not in repr(good)


def test_sound_from_the_hub_is_kept_in_the_cache(music, parquet, monkeypatch, tmp_path):
    import datasets

    folder = parquet([{"audio": {"bytes": sound(music, 0), "path": "a.wav"}, "text": "calm"}])
    hub = datasets.load_dataset("parquet", data_dir=str(folder), streaming=True)
    monkeypatch.setattr(datasets, "load_dataset", lambda name, streaming: hub)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (track,), _ = found(Path("someone/music"))
    assert (track.caption, track.input) == ("calm", "train row 0: a.wav")
    again = pickle.loads(pickle.dumps(track.load))
    assert again(22050, 1).shape == (1, 22050)
    assert [p.name for p in (tmp_path / "cache").rglob("*") if p.is_file()] == [track.sha256]


def test_a_path_that_is_no_name_on_the_hub_is_not_looked_up_there(tmp_path):
    with pytest.raises(InputError, match="does not exist; check --input"):
        found(tmp_path / "gone")


def test_missing_extra_is_named_in_one_line(music, monkeypatch):
    music("a.wav", 1.0)
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "datasets":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install -e '.\[huggingface\]'$"):
        found(music.root)


def test_damaged_parquet_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="no Parquet file that can be read"):
        found(tmp_path)
