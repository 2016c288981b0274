import pytest

from dataset_tools.building.decide import Placement
from dataset_tools.building.options import BuildOptions
from dataset_tools.building.records import ClipFacts, TrackRecord
from dataset_tools.building.rows import track_rows
from dataset_tools.sources import Track


def caption_of(votes, vocal=0.9, truth=None):
    track = Track("t", "folder", "t.ogg", "electronic", "tags", "0" * 64, len, truth=truth)
    record = TrackRecord("", "reg", [ClipFacts("t-0000", 0.0, 0.0, {}, 0.9, "")], [], {}, [], None)
    placement = Placement({"t": "reg"}, "track", vocal={"t": vocal}, votes={"t": votes})
    (row,) = track_rows(track, record, placement, {"t": {}}, BuildOptions())
    return row["caption"]


@pytest.mark.parametrize("votes", [{}, {"heard": 1}, {"heard": 1, "tag_sung_genre": 1}])
def test_a_voice_that_only_the_classifier_heard_is_not_written_into_a_caption(votes):
    assert caption_of(votes) == "electronic"


@pytest.mark.parametrize("name", ["caption_2", "tag_voice", "lyrics", "instrumental_flag"])
def test_a_stated_voice_is_named(name):
    assert caption_of({name: 1, "heard": -1}) == "electronic, vocals"


def test_a_true_voice_is_named_and_an_unlikely_one_is_not():
    assert caption_of({}, truth={"vocals": ["lead"]}) == "electronic, vocals"
    assert caption_of({"tag_voice": 1}, vocal=0.4) == "electronic"
