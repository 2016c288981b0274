import math

import numpy as np
import pytest

from dataset_tools.vocals.evidence import VoiceEvidence
from dataset_tools.vocals.gate import (
    LOW,
    adjusted_probabilities,
    judge_tracks,
    place_track,
    vocal_windows,
)
from dataset_tools.vocals.report import purity_and_recall, purity_table_markdown

SILENT = VoiceEvidence(("slow piano",))


def places(evidence):
    return [place_track(p) for p in judge_tracks(evidence).probabilities]


def test_a_folder_without_evidence_is_trained_on():
    assert places([VoiceEvidence(())] * 5) == ["train"] * 5
    assert places([SILENT] * 30) == ["train"] * 30


def test_three_tracks_go_where_their_captions_say():
    evidence = [VoiceEvidence(("a male singer",)), VoiceEvidence(("calm instrumental",)), SILENT]
    assert places(evidence) == ["reg", "train", "train"]


@pytest.mark.parametrize(
    "vocal",
    [
        VoiceEvidence(("pop",), tags=("female vocals",)),
        VoiceEvidence(("pop",), has_lyrics=True),
        VoiceEvidence(("a rapper over a beat",)),
        VoiceEvidence((), window_probabilities=(0.95,) * 10),
    ],
)
def test_the_only_vocal_tracks_of_a_large_folder_are_not_trained_on(vocal):
    assert places([*[SILENT] * 98, vocal, vocal])[-1] == "reg"


def test_more_evidence_makes_surer():
    alone = VoiceEvidence(("a singer",))
    confirmed = VoiceEvidence(
        ("a singer",), tags=("instrument---voice",), window_probabilities=(0.9,) * 8
    )
    p = judge_tracks([alone, confirmed, *[SILENT] * 10]).probabilities
    assert p[0] < p[1]


def test_a_wrong_flag_is_overruled_by_the_rest():
    liar = VoiceEvidence(("a woman's singing voice",), has_lyrics=True, instrumental=True)
    assert places([liar, *[SILENT] * 10])[0] == "reg"


def test_the_accuracy_of_captions_is_learnt_from_other_evidence():
    rng = np.random.default_rng(0)
    evidence = []
    for vocal in rng.random(3000) < 0.4:
        caption = "a singer" if rng.random() < (0.4 if vocal else 0.01) else "slow piano"
        lyrics, flag = rng.random(2) < (0.95 if vocal else 0.02)
        evidence.append(VoiceEvidence((caption,), has_lyrics=bool(lyrics), instrumental=not flag))
    verdicts = judge_tracks(evidence)
    own = verdicts.functions[0]
    assert own.name == "caption"
    assert own.vocal[2] == pytest.approx(0.4, abs=0.06)
    assert verdicts.balance == pytest.approx(0.4, abs=0.02)
    assert own.coverage == pytest.approx(np.mean([e.captions[0] == "a singer" for e in evidence]))


def test_the_order_of_captions_does_not_decide():
    captions = ("calm instrumental", "a female singer", "sung by a woman", "a soft voice")
    crowd = [SILENT] * 20 + [VoiceEvidence(("a singer",))] * 10
    first, last = (
        judge_tracks([VoiceEvidence(c), *crowd]).probabilities[0]
        for c in (captions, captions[::-1])
    )
    assert first == pytest.approx(last) and first > 0.8


def test_instrumental_tracks_are_trained_on_when_the_classifier_agrees():
    silent = [VoiceEvidence(("slow piano",), window_probabilities=(0.05,) * 10)] * 30
    vocal = [VoiceEvidence(("a singer",), window_probabilities=(0.95,) * 10)] * 30
    assert places([*silent, *vocal]) == ["train"] * 30 + ["reg"] * 30


def test_votes_name_only_functions_that_apply():
    (votes,) = judge_tracks([VoiceEvidence(("a singer",))]).votes
    assert votes == {"caption_1": 1}


def test_the_order_of_the_tracks_changes_nothing():
    evidence = [
        VoiceEvidence(("a singer",)),
        SILENT,
        VoiceEvidence(("x",), ("rap",)),
        VoiceEvidence(()),
    ]
    forth, back = judge_tracks(evidence), judge_tracks(evidence[::-1])
    assert forth.probabilities == back.probabilities[::-1]
    assert forth.functions == back.functions or any(math.isnan(f.accuracy) for f in forth.functions)


def test_no_tracks_make_no_verdicts():
    assert judge_tracks([]).probabilities == ()


def test_unsure_tracks_go_where_the_option_says():
    assert [place_track(0.5, "reg"), place_track(0.5, "out")] == ["reg", "out"]
    moved = [place_track(0.3, low=0.3), place_track(0.7, high=0.7)]
    assert [place_track(LOW), place_track(0.8), *moved] == ["train", "reg", "train", "reg"]


def test_thresholds_out_of_order_are_refused():
    with pytest.raises(ValueError, match="in order"):
        place_track(0.5, low=0.9, high=0.1)


def test_window_probabilities_stay_when_half_of_the_windows_have_a_voice():
    assert adjusted_probabilities([0.1, 0.5, 0.9], 0.5 / 0.6) == pytest.approx([0.1, 0.5, 0.9])


def test_a_window_of_an_instrumental_track_must_be_surely_vocal_to_be_left_out():
    scores = [0.1, 0.6, 0.9, 0.999]
    assert vocal_windows(scores, 0.02).tolist() == [False, False, False, True]
    assert vocal_windows(scores, 0.2).tolist() == [False, False, True, True]
    assert vocal_windows([], 0.1).shape == (0,)


def test_purity_and_recall_are_counted_by_hand():
    votes = [{"says": -1, "hears": 0}, {"says": 0, "hears": 0}, {"says": 0, "hears": 1}, {}]
    rows = purity_and_recall(votes, [0.1, 0.1, 0.9, 0.9], [False, True, True, False])
    says, hears, gate = rows
    assert (says.coverage, says.kept, says.purity, says.recall) == (0.25, 0.25, 1.0, 0.5)
    assert (hears.coverage, hears.kept, hears.purity, hears.recall) == (0.25, 0.5, 0.5, 0.5)
    assert (gate.name, gate.coverage, gate.purity, gate.recall) == ("gate", 0.5, 0.5, 0.5)


def test_without_truth_the_probabilities_are_counted():
    (row, gate) = purity_and_recall([{"says": -1}, {"says": 0}], [0.25, 0.5])
    assert (row.purity, row.recall) == (0.75, 0.75 / 1.25)
    assert math.isnan(gate.purity)


def test_tracks_of_unknown_truth_do_not_count():
    (row, _) = purity_and_recall([{"says": -1}, {"says": -1}], [0.1, 0.1], [False, None])
    assert (row.kept, row.purity) == (1.0, 1.0)


def test_the_report_is_a_table_of_per_cents():
    table = purity_table_markdown(purity_and_recall([{"tag_voice": 1}], [0.9], [True]))
    assert table.splitlines()[2] == "| tag voice | 100.0 % | 0.0 % | – | – |"
