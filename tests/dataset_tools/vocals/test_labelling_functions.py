import pytest

from dataset_tools.vocals.evidence import VoiceEvidence
from dataset_tools.vocals.labelling_functions import (
    functions_for_collection,
    heard,
    instrumental_flag,
    lyrics,
    tag_instrumental,
    tag_sung_genre,
    tag_voice,
)
from dataset_tools.vocals.voice_mentions import mentions_voice, says_instrumental


@pytest.mark.parametrize(
    "text",
    [
        "soft female vocals over piano",
        "a man rapping over a trap beat",
        "whiny lyrics about nature",
        "chopped vocal chops, UK garage",
        "A spoken-word sample",
        "humming melody",
        "vocoder and synth bass",
        "a choir of “ahhs”",
        "male singer-songwriter",
        "Sung in Portuguese",
        "una voz femenina canta con guitarra",
        "coros y letra en español",
        "non-english rapping",
        "no drums, male vocals",
        "without drums but with a choir",
        "vocals but no reverb",
        "has vocals, but they are not in English",
        "sounds like a children song if it wasn’t for the lyrics",
        "some vocals with no lyrics",
        "VOCALS: a soprano",
        "I don't like the singer",
        "no instruments except a voice",
    ],
)
def test_a_voice_is_found(text):
    assert mentions_voice(text) and not says_instrumental(text)


@pytest.mark.parametrize(
    "text",
    [
        "no vocals",
        "piano without singing",
        "it has no singer",
        "voice-less ambient",
        "voiceless",
        "vocal-free techno",
        "non-vocal orchestral piece",
        "rock without any vocals or rap",
        "no vocals, lyrics or spoken words",
        "there isn't any singing",
        "Pleasant electro-pop with missing lyrics",
        "devoid of vocals",
        "no male or female vocals",
        "vocals: none",
        "guitarra sin voz",
        "A calm instrumental piece",
        "música instrumental, sin letra",
        "karaoke version",
        "no-vocals",
        "no guitar, drums or vocals",
        "The voice is absent",
    ],
)
def test_a_denied_voice_is_none(text):
    assert says_instrumental(text) and not mentions_voice(text)


@pytest.mark.parametrize(
    "text",
    [
        "whistling over a ukulele",
        "tenor sax solo and a baritone guitar",
        "singing bowls",
        "screaming guitars, talking drum",
        "synth choir and voice pads",
        "a vocal-like lead",
        "trap beat with vibraphone, close harmonies and dense voicings",
        "an instrumental bridge leads to the finale",
        "an evocative, single line of expressive strings",
        "French horn, in French style",
        "one can sing to it",
        "the piano sings over strings",
        "a tune that is easy to sing along",
        "",
    ],
)
def test_texts_without_a_voice_get_no_vote_for_one(text):
    assert not mentions_voice(text) and not says_instrumental(text)


def test_a_voice_overrules_instrumental_in_the_same_caption():
    assert not says_instrumental("Instrumental indie rock song with male vocals")
    assert not says_instrumental("no lyrics, but a choir of voices")


def test_every_caption_has_one_vote():
    evidence = VoiceEvidence(("instrumental", "a singer", "no vocals", "piano"))
    captions = [
        f
        for f in functions_for_collection([evidence, VoiceEvidence(("x",))])
        if f.kind == "caption"
    ]
    assert [f.vote(evidence) for f in captions] == [-1, 1, -1, 0]
    assert [f.applies(VoiceEvidence(("x",))) for f in captions] == [True, False, False, False]


def test_tags_of_several_makers_are_understood():
    assert tag_voice(VoiceEvidence((), ("instrument---voice",))) == 1
    assert tag_voice(VoiceEvidence((), ("pop, female vocals, 120 bpm",))) == 1
    assert tag_voice(VoiceEvidence((), ("genre---rap",))) == 1
    assert tag_sung_genre(VoiceEvidence((), ("genre---singersongwriter",))) == 1
    assert tag_instrumental(VoiceEvidence((), ("genre---instrumentalpop",))) == -1
    assert tag_instrumental(VoiceEvidence((), ("no_vocals",))) == -1
    assert tag_voice(VoiceEvidence((), ("instrument---violin", "mood/theme---film"))) == 0


def test_missing_lyrics_and_flags_abstain():
    assert (
        lyrics(VoiceEvidence((), has_lyrics=True)),
        lyrics(VoiceEvidence((), has_lyrics=False)),
    ) == (1, 0)
    flags = (True, False, None)
    assert [instrumental_flag(VoiceEvidence((), instrumental=f)) for f in flags] == [-1, 1, 0]


def test_the_classifier_votes_for_a_voice_in_a_fifth_of_the_windows():
    assert heard(VoiceEvidence((), window_probabilities=(0.95,) * 3 + (0.05,) * 7)) == 1
    assert heard(VoiceEvidence((), window_probabilities=(0.05,) * 10)) == -1
    assert heard(VoiceEvidence((), window_probabilities=(0.55,) * 10)) == 0
    assert heard(VoiceEvidence((), window_probabilities=(0.95,))) == 1


def test_functions_abstain_where_they_do_not_apply():
    for function in functions_for_collection([VoiceEvidence(("a", "b"))]):
        nothing = VoiceEvidence(())
        assert not function.applies(nothing) and function.vote(nothing) == 0


def test_expectations_are_shares():
    for function in functions_for_collection([VoiceEvidence(("a", "b"))]):
        for shares in (function.instrumental, function.vocal):
            assert min(shares) > 0 and sum(shares) == pytest.approx(1)


def test_names_are_distinct():
    functions = functions_for_collection([VoiceEvidence(("a", "b"))])
    assert len({function.name for function in functions}) == len(functions)
