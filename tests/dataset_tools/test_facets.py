import numpy as np
import pytest

from dataset_tools.captions.facets import facet_probabilities
from dataset_tools.captions.lexicon import Lexicon
from dataset_tools.vocals.evidence import VoiceEvidence


@pytest.fixture(scope="module")
def lexicon():
    return Lexicon(
        {
            "instrument": {"piano": [], "drums": [], "flute": [], "slide guitar": []},
            "tempo": {"slow": [], "fast": ["quick"]},
        }
    )


def test_agreement_is_surer_than_a_lone_mention(lexicon):
    evidence = [VoiceEvidence(("a piano", "slow piano")), VoiceEvidence(("a flute",))]
    agreed, lone = facet_probabilities(evidence, lexicon)
    assert agreed["instrument"]["piano"] > lone["instrument"]["flute"] > 0.5


def test_what_several_captions_omit_is_doubted(lexicon):
    some = [VoiceEvidence(("a piano", "piano and drums", "slow piano")) for _ in range(30)]
    lone = VoiceEvidence(("a flute", "piano and drums", "slow piano", "drums, piano"))
    found = facet_probabilities([*some, lone], lexicon)[-1]["instrument"]
    assert found["flute"] < 0.5 < 0.8 < found["drums"] < found["piano"]


def test_the_order_of_captions_changes_nothing(lexicon):
    captions = ("a flute", "no flute, drums", "slow drums")
    forth, back = (
        facet_probabilities([VoiceEvidence(c)], lexicon) for c in (captions, captions[::-1])
    )
    assert forth[0]["instrument"] == pytest.approx(back[0]["instrument"])


def test_a_denied_value_is_nearly_excluded(lexicon):
    (found,) = facet_probabilities([VoiceEvidence(("slow piano, no drums",))], lexicon)
    assert found["instrument"]["drums"] < 0.2 < 0.6 < found["instrument"]["piano"]


def test_tags_vote_too(lexicon):
    (found,) = facet_probabilities([VoiceEvidence((), tags=("instrument---flute",))], lexicon)
    assert found["instrument"]["flute"] > 0.5


def test_tags_run_together_are_read(lexicon):
    (found,) = facet_probabilities([VoiceEvidence((), tags=("instrument---slideguitar",))], lexicon)
    assert list(found["instrument"]) == ["slide guitar"]


def test_synonyms_are_one_value(lexicon):
    (found,) = facet_probabilities([VoiceEvidence(("fast", "quick"))], lexicon)
    assert list(found["tempo"]) == ["fast"] and found["tempo"]["fast"] > 0.9


def test_tracks_without_captions_and_tags_have_no_facets(lexicon):
    assert facet_probabilities([VoiceEvidence(())], lexicon) == [{}]
    assert facet_probabilities([], lexicon) == []


def test_sound_confirms_or_denies_a_caption(lexicon):
    evidence = [VoiceEvidence(("a piano",))] * 3
    sound = [{"instrument": {"piano": vote}} for vote in (1, 0, -1)]
    heard, unclear, unheard = (
        found["instrument"]["piano"] for found in facet_probabilities(evidence, lexicon, sound)
    )
    assert heard > unclear > unheard


def test_sound_may_add_values_that_no_text_mentions(lexicon):
    (found,) = facet_probabilities([VoiceEvidence(())], lexicon, [{"tempo": {"slow": 1}}])
    assert found["tempo"]["slow"] > 0.5


@pytest.mark.parametrize("tracks", [20, 400])
def test_without_words_votes_from_sound_are_believed(lexicon, tracks):
    values = lexicon.values("instrument")
    sound = [{"instrument": {v: 1 if i % 4 == k else -1 for k, v in enumerate(values)}}
             for i in range(tracks)]  # fmt: skip
    found = facet_probabilities([VoiceEvidence(())] * tracks, lexicon, sound)
    voted = [track["instrument"][values[i % 4]] for i, track in enumerate(found)]
    assert 0.7 < min(voted) and max(voted) < 0.9
    assert max(found[0]["instrument"][value] for value in values[1:]) < 0.2


def test_votes_from_sound_must_match_the_tracks(lexicon):
    with pytest.raises(ValueError, match="0 tracks; there are 1"):
        facet_probabilities([VoiceEvidence(())], lexicon, [])


def test_true_values_are_surer_than_mistaken_ones(lexicon):
    rng = np.random.default_rng(0)
    names = lexicon.values("instrument")[:3]
    evidence, truth = [], []
    for _ in range(600):
        plays = {name for name in names if rng.random() < 0.3}
        captions = tuple(
            " and ".join(n for n in names if rng.random() < (0.6 if n in plays else 0.03))
            for _ in range(3)
        )
        evidence.append(VoiceEvidence(captions))
        truth.append(plays)
    found = facet_probabilities(evidence, lexicon)
    scored = [
        (p, name in plays)
        for track, plays in zip(found, truth, strict=True)
        for name, p in track.get("instrument", {}).items()
    ]
    right = [p for p, true in scored if true]
    wrong = [p for p, true in scored if not true]
    assert np.mean(right) > np.mean(wrong) + 0.05
    assert np.mean(np.array(right) > 0.95) > 0.5 > np.mean(np.array(wrong) > 0.95)


def test_the_order_of_the_tracks_changes_nothing(lexicon):
    evidence = [
        VoiceEvidence(("a piano", "slow")),
        VoiceEvidence(("fast drums",)),
        VoiceEvidence(("no flute",)),
    ]
    forth = facet_probabilities(evidence, lexicon)
    assert forth == facet_probabilities(evidence[::-1], lexicon)[::-1]
