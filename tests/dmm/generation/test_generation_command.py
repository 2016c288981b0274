import json
from pathlib import Path

import pytest

from dmm.cli import run


@pytest.fixture
def generate(tiny_sd15, tmp_path, capsys):
    """``generate(*words)``: exit code, and lines of what the command printed."""

    def call(*words: str):
        code = run(
            ["generate", *words, "--model", str(tiny_sd15), "--out", str(tmp_path / "clips")]
        )
        printed = capsys.readouterr()
        return code, printed.out.splitlines(), printed.err

    return call


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "what to play"),
        (["piano", "--variations", "x-1"], "what to play"),
        (["--morph", "a", "b"], "--count 2 or more"),
        (["piano", "--rank", "nano-clap"], "--keep"),
        (["piano", "--rank", "nano-clap", "--keep", "2"], "--keep"),
        (["piano", "--draw", "3"], "--grammar"),
        (["piano", "--mask", "1-2"], "--init"),
        (["piano", "--strength", "0"], "--init"),
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(generate, words, said):
    code, _, error = generate(*words)
    assert code == 2 and said in error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["piano", "--sampler", "magic"], "known: euler"),
        (["piano", "--format", "huge"], "no mel format"),
        (["piano", "--lora", "no.safetensors:0.5"], "no.safetensors: no such"),
        (["piano", "--lora", "no.safetensors:nan"], "nan is no weight"),
        (["--grammar", "minimidi"], "--draw N"),
        (["--variations", "piano-1"], "no clip 'piano-1'"),
        (["piano", "--init", "no.wav"], "no such file"),
        (["piano", "--device", "gpu"], "no device"),
    ],
)
def test_a_mistake_is_one_line(generate, words, said):
    code, _, error = generate(*words)
    assert code == 1 and said in error and error.count("\n") == 1


def test_libraries_print_nothing_beside_the_progress_bar(generate):
    code, _, error = generate("piano", "--steps", "1")
    assert code == 0 and error.startswith("generate") and error.count("\n") == 1


def settings(sound):
    return json.loads(Path(sound).with_suffix(".json").read_text())


def test_variations_take_the_originals_sampler_settings(generate):
    _, (sound,), _ = generate("piano", "--seed", "3", "--steps", "2", "--sampler", "ddim")
    code, (other,), _ = generate("--variations", "piano-3", "--variation-strength", "0.1")
    first, second = settings(sound), settings(other)
    assert code == 0 and other.endswith("piano-3-v4.flac")
    assert second.pop("drift") == [[4, 0.1]] and first == second


def test_a_grammar_a_mask_and_a_ranking_combine(generate):
    _, (sound,), _ = generate("piano", "--steps", "1")
    code, kept, _ = generate(
        "--grammar", "minimidi", "--draw", "1", "--count", "2", "--seed", "5", "--steps", "1",
        "--rank", "nano-clap", "--keep", "1", "--init", sound, "--mask", "1-2",
    )  # fmt: skip
    facts = settings(kept[0])
    assert code == 0 and len(kept) == 1 and facts["mask_columns"] == [50, 100]
    assert facts["rank"]["of"] == 2 and len(facts["result"]["ranking"]["drawn"]) == 2
