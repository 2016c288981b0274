"""What a caption denies, and what it only seems to deny."""

import pytest

from dataset_tools.captions.lexicon import load_lexicon

LEXICON = load_lexicon()


def said(text, *, denied):
    return [m.value for m in LEXICON.find_mentions(text) if m.negated == denied]


@pytest.mark.parametrize(
    ("text", "denied", "said_of_it"),
    [
        ("No guitar, piano or drums, only strings", ["guitar", "piano", "drums"], ["strings"]),
        ("no guitar, no piano, and no drums", ["guitar", "piano", "drums"], []),
        ("drums are absent", ["drums"], []),
        ("a calm piece, the drums and bass are missing", ["drums", "bass"], ["calm"]),
        ("everything except drums", ["drums"], []),
        ("no instruments except a piano", [], ["piano"]),
        ("calm, except for a fast harp at the end", [], ["calm", "fast", "harp"]),
        ("absence of snare and kick, poppy and calm", ["snare", "kick drum"], ["pop", "calm"]),
        ("it has not one genre as it jumps between rock and jazz", [], ["rock", "jazz"]),
        ("nothing but piano", [], ["piano"]),
        (
            "without any of the usual disturbing loud noise, calm",
            ["scary", "loud"],
            ["calm"],
        ),
        ("absence of loud snare, soft harp", ["loud", "snare"], ["soft", "harp"]),
        ("far from sleepy, funny banjo", ["sleepy"], ["fun", "banjo"]),
        (
            "sad harp, it would be happier if it were a little faster",
            ["happy", "fast"],
            ["sad", "harp"],
        ),
        ("if it were a little slower, it would be calm. Harp", ["slow", "calm"], ["harp"]),
        ("funk that would need more syncopation", ["syncopated"], ["funk"]),
        ("it could use some drums, harp", ["drums"], ["harp"]),
        ("lacks drums, bass and piano", ["drums", "bass", "piano"], []),
        ("a drum machine instead of drums", ["drums"], ["drum machine"]),
        ("neither drums nor bass, harp", ["drums", "bass"], ["harp"]),
        ("it does not have drums or bass but a harp", ["drums", "bass"], ["harp"]),
        ("drumless, percussion-free harp", ["percussion"], ["harp"]),
        ("the piano isn't present", ["piano"], []),
        ("anything but calm", ["calm"], []),
        ("harp rather than piano", ["piano"], ["harp"]),
        ("no drums in this calm piece for harp", ["drums"], ["calm", "harp"]),
        ("no bass and drums", ["bass", "drums"], []),
        ("no drums and soft piano", ["drums"], ["soft", "piano"]),
        ("no drums, piano", ["drums"], ["piano"]),
        ("There is no bass, The piano or harp plays", ["bass"], ["piano", "harp"]),
        ("not only piano, also harp", [], ["piano", "harp"]),
        ("I don't like the drums", [], ["drums"]),
        ("no doubt jazz, without a doubt sad", [], ["jazz", "sad"]),
        ("Sonata no. 2 for piano", [], ["classical", "piano"]),
        ("the drums are not loud", ["loud"], ["drums"]),
        ("not too fast and the harp is soft", ["fast"], ["harp", "soft"]),
        ("unlike jazz, this is calm", ["jazz"], ["calm"]),
    ],
)
def test_denials_reach_over_lists_and_end_with_the_clause(text, denied, said_of_it):
    audible = ("instrument", "genre", "mood", "tempo", "production")
    found = [m for m in LEXICON.find_mentions(text) if m.facet in audible]
    assert [m.value for m in found if m.negated] == denied
    assert [m.value for m in found if not m.negated] == said_of_it
