import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataset_tools.sources.minimidi import compose, piece_facts
from dataset_tools.sources.minimidi.captions import tempo_word
from eval.listening.judges import AttributeProbabilities
from eval.listening.truth import Truth, read_truths
from eval.report.judged_adherence import chance_adherence


def write_manifest(dataset, rows):
    columns = ("caption", "truth", "augmentation")
    table = pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows])
    pq.write_table(table, dataset / "manifest.parquet")


@pytest.mark.parametrize("seed", range(6))
def test_a_pieces_truth_is_read_back_with_its_pace(tmp_path, seed):
    piece = compose(seed)
    write_manifest(tmp_path, [("words", json.dumps(piece_facts(piece)), None)])
    expected = Truth(tuple(piece.instruments), tempo_word(piece.tempo_bpm), piece.mode)
    assert read_truths(tmp_path) == {"words": expected}


def test_captions_of_two_pieces_and_of_augmented_copies_have_no_truth(tmp_path):
    one, two = (json.dumps(piece_facts(compose(seed))) for seed in (0, 1))
    rows = [("shared", one, None), ("shared", two, None), ("copy", one, "{}"), ("none", None, None)]
    write_manifest(tmp_path, rows)
    assert read_truths(tmp_path) == {}


def test_a_folder_without_manifest_has_no_truth(tmp_path):
    assert read_truths(tmp_path) == {}


def detected(instruments, tempo):
    return AttributeProbabilities(
        {name: float(name in instruments) for name in ("piano", "flute")},
        {"no drums": 1.0},
        {name: float(name == tempo) for name in ("slow", "fast")},
        {"C major": 1.0},
        {"lofi": 1.0},
    )


def test_chance_is_what_clips_reach_with_the_other_prompts_truths():
    requested = [Truth(("piano",), "slow", "major"), Truth(("flute",), "fast", "major")]
    obeyed = [detected(own.instruments, own.pace) for own in requested]
    assert chance_adherence(obeyed, requested) == {"instruments": 0, "tempo": 0, "mode": 1}
    assert chance_adherence(obeyed[:1], requested[:1]) is None
