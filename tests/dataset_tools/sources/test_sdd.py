"""Song Describer: its table as published, and the files beside it."""

import csv
import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dataset_tools.sources import Rejected, SourceRequest, Track
from dataset_tools.sources.jamendo import read_licences_and_pages
from dataset_tools.sources.sdd import COLUMNS, tracks
from dmm.errors import InputError

REAL = os.environ.get("DMM_SDD_TABLE", "")
"""Path of the published song_describer.csv, on a machine that has it."""
HEADER = ",".join(COLUMNS)
ROWS = [
    "859,1004034,Slow and dreamy,True,0,368880,118196,34/1004034.mp3,202.5",
    '860,1004034,"A piano, alone",,1,368880,118196,34/1004034.mp3,202.5',
    "861,7,Loud rock,False,2,12,13,07/7.mp3,60.0",
]


@pytest.fixture
def sdd(tmp_path, music):
    """A folder like the record's: ``sdd(rows, header)``; tracks 1004034 and 7 have sound."""
    music("audio/34/1004034.2min.mp3", 1.0)
    music("audio/07/7.flac", 1.0)

    def write(rows=ROWS, header=HEADER):
        (music.root / "song_describer.csv").write_text("\n".join([header, *rows]), "utf-8")
        return music.root

    return write


def found(root, **request):
    everything = list(tracks(SourceRequest(root, **request)))
    refused = {r.input: r.reason for r in everything if isinstance(r, Rejected)}
    return [t for t in everything if isinstance(t, Track)], refused


def test_captions_of_a_track_are_kept_apart(sdd):
    (first, second), refused = found(sdd())
    assert first.caption == "Slow and dreamy" and first.more_captions == ("A piano, alone",)
    assert (first.artist, first.album, first.caption_origin) == ("368880", "118196", "table")
    assert first.input == "audio/34/1004034.2min.mp3" and second.input == "audio/07/7.flac"
    assert refused == {} and first.load(8000, 1).shape == (1, 8000)


def test_captions_of_any_validity_are_used_unless_only_valid_ones_are_wanted(sdd):
    assert [len(t.more_captions) for t in found(sdd())[0]] == [1, 0]
    (only,), refused = found(sdd(), valid_only=True)
    assert only.more_captions == () and refused == {}


def test_wrong_columns_are_named_with_the_nearest(sdd):
    header = ",".join(COLUMNS).replace("caption,", "captoin,").replace("duration", "length")
    with pytest.raises(InputError, match=r"no column 'caption' \(nearest: 'captoin'") as error:
        found(sdd(header=header))
    assert "no column 'duration'" in str(error.value) and "\n" not in str(error.value)


def test_order_of_columns_does_not_matter_and_others_are_ignored(sdd):
    turned = list(csv.reader(io.StringIO("\n".join([",".join(COLUMNS), *ROWS]))))
    text = io.StringIO()
    csv.writer(text).writerows([*reversed(row), "x"] for row in turned)
    header, *rows = text.getvalue().replace("duration", "duration", 1).splitlines()
    assert [t.caption for t in found(sdd(rows, header))[0]] == ["Slow and dreamy", "Loud rock"]


@pytest.mark.parametrize(
    ("row", "name", "reason"),
    [
        ("859,7,again,True,0,1,1,07/7.mp3,1", "caption 859", "duplicate caption id"),
        ("9,9,x,True,0,1,1,../../etc/9.mp3,1", "../../etc/9.mp3", "path leaves the folder"),
        ("9,9,x,True,0,1,1,/etc/passwd,1", "/etc/passwd", "path leaves the folder"),
        ("9,9,x,True,0,1,1,C:\\x\\9.mp3,1", "C:\\x\\9.mp3", "path leaves the folder"),
        ("9,9,x,True,0,1,1,09/9.mp3,1", "09/9.mp3", "no audio: expected audio/09/9.2min.mp3"),
        ("9,7, ,True,0,1,1,07/7.mp3,1", "caption 9", "no caption"),
        ("9,7,x,True,0,1,1,08/7.mp3,1", "caption 9", "two paths"),
        ("9,seven,x", "caption 9", "damaged row"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_with_the_reason(sdd, row, name, reason):
    good, refused = found(sdd([*ROWS, row]))
    assert len(good) == 2 and list(refused) == [name] and refused[name].startswith(reason)


def test_sound_behind_a_link_out_of_the_folder_is_refused(sdd, tmp_path):
    root = sdd()
    (root / "audio" / "07").rename(tmp_path / "elsewhere")
    (root / "audio" / "07").symlink_to(tmp_path / "elsewhere")
    _, refused = found(root)
    assert refused == {"audio/07/7.flac": "link: leads out of the folder; copy the file here"}


def test_tags_names_and_licences_are_joined(sdd):
    root = sdd()
    ids = "track_1004034\tartist_368880\talbum_118196\t"
    tags = f"TRACK_ID\tARTIST_ID\n{ids}34/1004034.mp3\t202.5\tgenre---pop\tinstrument---voice\n"
    (root / "song_describer.mtg-jamendo.tsv").write_text(tags)
    page = "http://www.jamendo.com/track/1004034"
    (root / "audio_metadata.tsv").write_text(f"{ids}Rain\tAna\tOne\t2012-01-01\t{page}\n")
    licence = "http://creativecommons.org/licenses/by-nc-sa/3.0/"
    (root / "audio_licenses.txt").write_text(
        f"34/1004034.mp3\nRain by Ana from Jamendo: {page}\n"
        f"Available under a Creative Commons license: {licence}\n--\n"
    )
    (first, second), _ = found(root, licence="unknown")
    assert first.tags == ("genre---pop", "instrument---voice") and second.tags == ()
    assert (first.title, first.artist, first.album, first.url) == ("Rain", "Ana", "One", page)
    assert (first.licence, second.licence) == (licence, "unknown")


def test_licences_may_also_be_in_one_line(tmp_path):
    path = tmp_path / "licences.txt"
    path.write_text(
        "track_0000007 http://jamendo.com/track/7 licence: http://artlibre.org/licence/lal/\n"
    )
    assert read_licences_and_pages(path) == (
        {7: "http://artlibre.org/licence/lal/"},
        {7: "http://jamendo.com/track/7"},
    )


def test_text_that_is_no_table_of_tags_is_refused(sdd, tmp_path):
    (tmp_path / "tags.tsv").write_text("genre\tpop\n")
    with pytest.raises(InputError, match="no line begins with track_NUMBER"):
        found(sdd(), tags=tmp_path / "tags.tsv")


def test_folder_without_the_table_says_how_to_get_it(music):
    music("a.wav", 1.0)
    with pytest.raises(InputError, match=r"holds no song_describer.csv; .*dmm data fetch sdd"):
        found(music.root)


@pytest.mark.skipif(not REAL, reason="DMM_SDD_TABLE names no table")
def test_the_real_table_gives_706_tracks_with_1106_captions(tmp_path):
    (tmp_path / "song_describer.csv").write_bytes(Path(REAL).read_bytes())
    with Path(REAL).open(encoding="utf-8") as table:
        for n, path in enumerate(sorted({row["path"] for row in csv.DictReader(table)})):
            sound = tmp_path / path.replace(".mp3", ".wav")
            sound.parent.mkdir(exist_ok=True)
            soundfile.write(sound, np.full(8, n, np.int16), 8000)
    good, refused = found(tmp_path)
    assert refused == {} and len({t.sha256 for t in good}) == 706
    assert sum(1 + len(t.more_captions) for t in good) == 1106
    assert sum(not t.more_captions for t in good) == 476
    assert len(found(tmp_path, valid_only=True)[0]) == 547
