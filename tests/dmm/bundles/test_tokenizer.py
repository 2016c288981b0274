import pytest

from dmm.bundles.schema import Encoder
from dmm.bundles.tokenizer import Tokenizer
from dmm.checkpoints.tokenizers import ensure_tokenizer_folder, load_tokenizers
from dmm.errors import InputError

TEXTS = [
    "slow piano, warm and mellow", "Lo-Fi  HIP-HOP\n120bpm!!", "it's we'll don’t I'd", "“quoted”",
    "café Ünïcode naïve", "e\u0301", "日本の音楽", "🎹🎶 emoji", "ﬁre &amp; water", "Ｗｉｄｅ",
    "½ x²", "", "'", "a'b ''s 's", "under_score __x", "x" * 90, "supercalifragilistic " * 30,
    "\u00a0tab\tx", "loud! soft", "a<|endoftext|>b",
]  # fmt: skip


@pytest.fixture(params=[1024, 49408])
def both(request, tmp_path):
    """Ours and transformers' two, of a cut vocabulary and CLIP's own."""
    size = request.param
    merges = next(ensure_tokenizer_folder(size).glob("*/merges.txt"))
    theirs = load_tokenizers(size)
    encoders = [
        Encoder(vocab_size=size, bos=size - 2, eos=size - 1, pad=t.pad_token_id) for t in theirs
    ]
    return Tokenizer(merges), encoders, theirs


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_transformers(both, text):
    ours, encoders, theirs = both
    for encoder, tokenizer in zip(encoders, theirs, strict=True):
        wanted = tokenizer(text, padding="max_length", truncation=True, max_length=77).input_ids
        assert ours.encode(text, encoder).tolist() == wanted


def test_a_long_prompt_is_cut_between_words(both):
    ours, encoders, _ = both
    kept, left = ours.cut_to_fit("piano " * 100, encoders[0])
    lengths = [len(ours.token_ids(text, encoders[0])) for text in (kept, f"{kept} {left[0]}")]
    assert lengths[0] <= 75 < lengths[1]
    assert [*kept.split(), *left] == ["piano"] * 100


def test_a_file_without_merges_is_named(tmp_path):
    (tmp_path / "merges.txt").write_text("one\n")
    with pytest.raises(InputError, match=r"merges\.txt: does not hold merges"):
        Tokenizer(tmp_path / "merges.txt")
