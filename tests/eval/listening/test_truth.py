import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_tools.sources.minimidi import compose, truth
from dataset_tools.sources.minimidi.captions import pace
from eval.listening.judges import Heard
from eval.listening.truth import Truth, truths
from eval.report.judged import chance


def write_manifest(dataset, rows):
    columns = ("caption", "truth", "augmentation")
    table = pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows])
    pq.write_table(table, dataset / "manifest.parquet")


@pytest.mark.parametrize("seed", range(6))
def test_a_pieces_truth_is_read_back_with_its_pace(tmp_path, seed):
    piece = compose(seed)
    write_manifest(tmp_path, [("words", json.dumps(truth(piece)), None)])
    expected = Truth(tuple(piece.instruments), pace(piece.tempo_bpm), piece.mode)
    assert truths(tmp_path) == {"words": expected}


def test_a_caption_of_two_pieces_or_of_a_changed_copy_says_nothing(tmp_path):
    one, two = (json.dumps(truth(compose(seed))) for seed in (0, 1))
    rows = [("shared", one, None), ("shared", two, None), ("copy", one, "{}"), ("none", None, None)]
    write_manifest(tmp_path, rows)
    assert truths(tmp_path) == {}


def test_a_folder_without_manifest_knows_no_truth(tmp_path):
    assert truths(tmp_path) == {}


def heard(instruments, tempo):
    return Heard(
        {name: float(name in instruments) for name in ("piano", "flute")},
        {"no drums": 1.0},
        {name: float(name == tempo) for name in ("slow", "fast")},
        {"C major": 1.0},
        {"lofi": 1.0},
    )


def test_chance_is_what_clips_reach_with_the_other_prompts_truths():
    asked = [Truth(("piano",), "slow", "major"), Truth(("flute",), "fast", "major")]
    obeyed = [heard(own.instruments, own.pace) for own in asked]
    assert chance(obeyed, asked) == {"instruments": 0, "tempo": 0, "mode": 1}
    assert chance(obeyed[:1], asked[:1]) is None
