"""Reduction of captions, CLIP's tokens, and all steps together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_tools.captions.lexicon import FACETS, load_lexicon
from dataset_tools.captions.pipeline import clean_and_reduce, prepare_caption
from dataset_tools.captions.reduce import UNREAD, reduce_caption
from dataset_tools.captions.statistics import caption_statistics
from dataset_tools.captions.tokens import MAX_TOKENS, count_tokens, fit_to_token_limit

LEXICON = load_lexicon()
WORDS = st.sampled_from(
    [value for facet in FACETS for value in LEXICON.values(facet)]
    + "a with and no over song, . but suitable for reminds me male 140 bpm".split()
)


def reduced(caption, facets=None):
    return reduce_caption(caption, LEXICON, facets)[0]


@pytest.mark.parametrize(
    ("caption", "terms"),
    [
        ("Slow acoustic guitar solo, suitable for a relaxing tea", "acoustic guitar, slow"),
        ("A guitar, an electric guitar, harp and bells", "electric guitar, harp"),
        ("happy sad calm slow jazz", "happy, slow, jazz"),
        ("drums, no piano, not sad, 96 bpm", "drums, 96 bpm"),
        ("It reminds me of jazz", "jazz"),
        ("instruments like an electric guitar and a cello", "electric guitar, cello"),
        ("it sounds like a harp is being played", "harp"),
        ("it seems like there is a calm piano", "piano, calm"),
        ("harp, it feels like a sad jazz club", "harp"),
        ("rock, it would fit a calm scene, a documentary, or a relaxing cafe", "rock"),
        ("perfect for dancing, piano and strings", "piano, strings"),
        ("guitar and bass guitar", "guitar, bass guitar"),
    ],
)
def test_terms_of_sound_stay_in_the_order_of_the_text(caption, terms):
    assert reduced(caption) == terms


def test_without_a_known_term_the_first_words_stay():
    assert reduced("The composer tries things in their studio") == (
        "The composer tries things in their studio"
    )
    assert len(reduced("many words " * 30).split()) == 20
    assert reduced("one two, " + "many words " * 30) == "one two"


def test_a_caption_in_another_script_is_named_as_unread():
    caption, changes = reduce_caption("медленная музыка " * 20, LEXICON)
    assert caption.startswith("медленная") and changes[0].rule == UNREAD
    assert caption_statistics(["грустно", "sad"], "")["unread"] == 1


def test_a_doubted_term_goes_unless_it_is_all_there_is():
    doubt = {"genre": {"jazz": 0.2}}
    assert reduced("jazz, piano", doubt) == "piano"
    assert reduced("jazz", doubt) == "jazz"


def test_the_most_probable_terms_are_added_first():
    facets = {"instrument": {"harp": 0.9, "flute": 0.95, "oboe": 0.7}, "mood": {"sad": 0.8}}
    assert reduced("piano, slow", facets) == "piano, flute, slow, sad"
    assert reduced("piano, slow", {"instrument": {"player piano": 0.9}}) == "piano, slow"


def test_order_of_evidence_does_not_matter():
    facets = {"mood": {"sad": 0.9, "calm": 0.9}, "genre": {"jazz": 0.9}}
    backwards = {f: dict(reversed(v.items())) for f, v in reversed(facets.items())}
    assert reduced("piano", facets) == reduced("piano", backwards) == "piano, jazz, calm, sad"


def test_a_voice_is_kept_before_other_instruments():
    assert reduced("piano, drums and bass with a singer") == "piano, voice"
    assert reduced("a choir and a singer with harp and drums") == "choir, harp"
    assert reduced("a choir and a singer") == "choir, voice"


@given(st.lists(WORDS, max_size=25).map(" ".join))
@settings(max_examples=200, deadline=None)
def test_reduction_settles_and_changes_lead_from_raw_to_result(raw):
    caption, changes = clean_and_reduce(raw, keep_voice=False, reduce=True)
    assert len(caption.split(", ")) <= 5 or not changes
    assert reduced(caption) == caption
    texts = [raw, *(change.after for change in changes)]
    assert [change.before for change in changes] == texts[:-1] and texts[-1] == caption


def test_voices_are_not_added_again_from_facets():
    facets = {"instrument": {"voice": 0.99, "harp": 0.9}}
    assert (
        clean_and_reduce("piano, singer", keep_voice=False, reduce=True, facets=facets)[0]
        == "piano, harp"
    )
    assert (
        clean_and_reduce("piano, singer", keep_voice=True, reduce=True, facets=facets)[0]
        == "piano, voice"
    )


def test_tokens_are_those_of_the_trainers_tokenisers():
    from dmm.checkpoints.tokenizers import load_tokenizers

    texts = [
        "",
        "120 bpm",
        "drum’n’bass – “café”",
        "wow!!! a ! b",
        "音楽 🎵",
        "I'LL  sing's",
        "ß İ <|endoftext|>",
    ]
    for text in texts:
        real = max(len(tokenizer(text).input_ids) for tokenizer in load_tokenizers())
        assert count_tokens(text) == real, text


@pytest.mark.parametrize("caption", ["piano, " * 60 + "end", "1 2 3 4 5 6 7 " * 20, "9" * 300, ""])
def test_every_prompt_fits(caption):
    fitted, changes = fit_to_token_limit("mel spectrogram music", caption)
    assert count_tokens(f"mel spectrogram music, {fitted}") <= MAX_TOKENS
    assert caption.startswith(fitted) and bool(changes) == (fitted != caption)


def test_an_anchor_that_is_too_long_ends_too():
    assert len(fit_to_token_limit("x 1 " * 60, "piano, slow")[0]) == 1


def test_a_caption_passes_all_steps():
    caption, tokens, changes = prepare_caption(
        "Slow piano ballad.\nWith a male voice | ",
        "mel spectrogram music",
        keep_voice=False,
        reduce=True,
    )
    assert caption == "piano, slow, ballad"
    assert tokens == count_tokens("mel spectrogram music, piano, slow, ballad")
    assert [c.rule for c in changes] == [
        "lines",
        "separator",
        "spaces",
        "full stop",
        "voice",
        "reduced",
    ]
