"""Musical terms in text, and the removal of voices from captions."""

from itertools import combinations

import pytest

from dataset_tools.captions.lexicon import FACETS, Lexicon, load_lexicon
from dataset_tools.captions.remove_voice import without_voice
from dataset_tools.captions.voice_phrase import VOICE_TERMS, voice_mentions
from dmm.errors import InputError

LEXICON = load_lexicon()
IDIOMS = ("drum and bass", "synth-pop", "synthwave", "deep", "synthetic", "rhythmic", "breakdown")
"""Terms whose words name an instrument that is none here, such as "bass-heavy"."""


def values(text, *, negated=False):
    return [mention.value for mention in LEXICON.find_mentions(text) if mention.negated == negated]


def test_every_value_finds_itself_and_nothing_else():
    for facet in FACETS:
        for value in LEXICON.values(facet):
            found = [(m.facet, m.value) for m in LEXICON.find_mentions(f"the {value}.")]
            assert found == [(facet, value)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("two Electric Guitars", "electric guitar"),
        ("electric-guitar", "electric guitar"),
        ("drum’n’bass", "drum and bass"),
        ("R & B", "r&b"),
        ("lullabies", "lullaby"),
        ("a bass drum", "kick drum"),
        ("about 90BPM", "90 bpm"),
        ("Electrónica", "electronic"),
    ],
)
def test_terms_are_found_whatever_their_case_number_and_hyphens(text, value):
    assert values(text) == [value]


def test_a_comma_ends_a_term_and_parts_of_words_are_none():
    assert values("electric, guitar") == ["guitar"]
    assert values("scores of rocket scientists, harpoons") == ["cinematic"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a romantic piano with guitar licks", ["piano", "guitar"]),
        ("one drum", ["drums"]),
        ("like a jungle or forest", []),
        ("driving a soft top car", []),
        ("driving rock", ["driving", "rock"]),
        ("solemn", ["serious"]),
        ("eastern european dance", ["eastern european", "danceable"]),
        ("minimal lyrics", []),
        ("minimal techno, minimal drums", ["techno", "sparse", "drums"]),
        ("world fusion, a fusion of rock", ["world music", "rock"]),
        ("organic sounds", []),
        ("live the present moment", []),
        ("young folks", []),
        ("a song in French", []),
        ("in French style", ["french"]),
    ],
)
def test_a_word_counts_in_its_musical_sense_only(text, terms):
    heard = ("instrument", "genre", "mood", "tempo", "production", "culture")
    found = [
        m for m in LEXICON.find_mentions(text) if m.facet in heard and m.value not in VOICE_TERMS
    ]
    assert [m.value for m in found] == terms


def test_no_term_of_another_facet_swallows_an_instrument():
    named = {"guitar", "piano", "drums", "bass", "strings", "percussion", "synthesizer", "violin"}
    for words, (facet, value) in LEXICON._terms.items():
        if facet not in ("instrument", "function", "abstract") and value not in IDIOMS:
            runs = combinations(range(len(words) + 1), 2)
            inner = {LEXICON._terms.get(words[a:b], ("", ""))[1] for a, b in runs}
            assert not inner & named or words[-1] == "basses" or words[0] == "alberti", words


def test_positions_are_those_of_the_words():
    text = "Some SLOW  piano"
    assert [text[m.start : m.end] for m in LEXICON.find_mentions(text)] == ["SLOW", "piano"]


@pytest.mark.parametrize(
    "text",
    [
        "no drums",
        "without any real drums",
        "no piano or drums",
        "drums-free",
        "it doesn't have drums",
    ],
)
def test_a_denied_term_is_marked(text):
    assert "drums" in values(text, negated=True)


@pytest.mark.parametrize(
    "text",
    [
        "no piano, drums",
        "no piano but drums",
        "not only drums",
        "non-english drums",
        "drums without piano",
    ],
)
def test_denial_ends_where_the_clause_does(text):
    assert "drums" in values(text)


def test_a_word_given_to_two_terms_and_an_unknown_facet_are_refused(tmp_path):
    with pytest.raises(InputError, match="'pad' is in"):
        Lexicon({"instrument": {"synth pad": ["pad"], "drum pad": ["pad"]}})
    (tmp_path / "own.toml").write_text("[colour]\nred = []\n")
    with pytest.raises(InputError, match=r"own.toml is no lexicon: no facet 'colour'"):
        load_lexicon(tmp_path / "own.toml")


@pytest.mark.parametrize(
    ("caption", "rest"),
    [
        ("rock song with male vocals and drums", "rock song with drums"),
        ("piano, female voice singing about love, strings", "piano, strings"),
        ("guitar and voice", "guitar"),
        ("a raspy male voice over solo piano", "solo piano"),
        ("house track with no vocals but with organ", "house track with organ"),
        ("folk song sung by a man in French", "folk song"),
        ("techno, without singing or lyrics", "techno"),
        ("an old rap song with a choir", "an old song"),
        ("slow instrumental with a tenor saxophone", "slow instrumental with a tenor saxophone"),
        ("a man and a woman singing", "instrumental"),
        ("a male hip-hop track", "a hip-hop track"),
        ("female led rock with an alto", "rock"),
        ("German-language rock", "rock"),
        ("Portuguese-spoken ska", "Portuguese-ska"),
        ("he plays his guitar, she sings in a high register", "guitar"),
        ("a pop track from a singer with a raspy, echoing voice over piano", "a pop track, piano"),
        ("The male vocal is emotional, passionate and soft, over a piano", "piano"),
        ("The singer sings with emotion and sorrow, Sad harp", "Sad harp"),
        ("rock in which all mix with the voice and make themselves heard", "rock"),
        ("vocals with reverb and a big piano", "reverb and a big piano"),
        ("techno, without singing, lyrics or drums, calm", "techno, calm"),
    ],
)
def test_voices_go_and_the_rest_still_reads(caption, rest):
    assert without_voice(caption, LEXICON)[0] == rest


def test_no_voice_is_left_in_any_frame():
    voiced = sorted(
        form
        for form, (_, value) in LEXICON._terms.items()
        if value in VOICE_TERMS and len(form) < 3
    )
    for words in voiced:
        for frame in (
            "{}",
            "pop with {} and harp",
            "soft {}, no {} or bells",
            "the {} makes it sad",
        ):
            text = frame.replace("{}", " ".join(words))
            rest, changes = without_voice(text, LEXICON)
            assert rest and changes and not voice_mentions(rest, LEXICON)
            assert without_voice(rest, LEXICON) == (rest, [])


def test_a_caption_without_voices_is_left_alone():
    text = "Electrónica positiva (con piano); slow - and calm"
    assert without_voice(text, LEXICON) == (text, [])
