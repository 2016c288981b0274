import pytest

from dmm.checkpoints.tokenizers import load_tokenizers
from dmm.errors import InputError, PresetError
from dmm.generation.conditioning import truncate_prompt
from dmm.generation.grammar import Grammar, grammar_names, load_grammar
from dmm.generation.prompts import gather_prompts, read_prompts

RULES = Grammar(
    templates=("{a} and {a}, {b}", "{b}, {c}"),
    words={"a": ("w", "x", "y", "z"), "b": ("1", "2"), "c": ("p", "q")},
)


def test_every_prompt_has_one_number():
    everything = [RULES.prompt(number) for number in range(RULES.size())]
    assert RULES.size() == 6 * 2 + 2 * 2 == len(set(everything))
    with pytest.raises(ValueError, match="up to 15"):
        RULES.prompt(16)


def test_random_prompts_are_distinct_and_begin_like_a_smaller_number():
    drawn = RULES.draw(15, seed=3)
    assert len(set(drawn)) == 15 and drawn[:4] == RULES.draw(4, seed=3) != RULES.draw(4, seed=4)
    assert RULES.draw(99, seed=3) == [RULES.prompt(number) for number in range(16)]


def test_prompts_are_drawn_evenly():
    first = [RULES.draw(1, seed)[0] for seed in range(800)]
    counts = [first.count(RULES.prompt(number)) for number in range(16)]
    assert 25 < min(counts) and max(counts) < 80  # 50 expected, standard deviation 7


@pytest.mark.parametrize("name", grammar_names())
def test_shipped_grammars_fit_clip_behind_an_anchor(name):
    grammar, (tokenizer, _) = (
        load_grammar(name),
        load_tokenizers(1024 if name == "minimidi" else 49408),
    )
    for prompt in grammar.draw(300, seed=0):
        assert not truncate_prompt(f"mel spectrogram music, {prompt}", tokenizer)[1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("templates = []\n[words]", "templates"),
        ('templates = ["{a}"]\n[words]\nb = ["x"]', "asks for {a}"),
        ('templates = ["{a} {a}"]\n[words]\na = ["x"]', "more words than there are"),
        ('templates = ["{a"]\n[words]\na = ["x"]', "no grammar"),
        ('template = "{a}"\n[words]\na = ["x"]', "template"),
    ],
)
def test_an_invalid_grammar_is_an_error_of_one_line(tmp_path, text, said):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(PresetError, match=said) as error:
        load_grammar(str(tmp_path / "mine.toml"))
    assert "mine.toml" in str(error.value) and "\n" not in str(error.value)


def test_an_unknown_grammar_lists_the_known_ones():
    with pytest.raises(PresetError, match="minimidi, music"):
        load_grammar("jazz")


def test_a_grammar_without_a_number_says_how_many_prompts_it_has():
    with pytest.raises(PresetError, match=r"allows 1,272 prompts|allows [\d,]+ prompts"):
        gather_prompts((), None, "minimidi", None, 0)


def test_a_file_has_a_prompt_a_line_and_comments(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffpiano, slow\n\n# later\n  C# minor organ \n".encode())
    assert read_prompts(path) == ["piano, slow", "C# minor organ"]
    assert gather_prompts(["flute"], path, None, None, 0) == [
        "flute",
        "piano, slow",
        "C# minor organ",
    ]


def test_a_file_without_prompts_is_an_error(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for name, said in (("empty.txt", "holds no prompt"), ("latin.txt", "UTF-8"), ("no", "no such")):
        with pytest.raises(InputError, match=said):
            read_prompts(tmp_path / name)
