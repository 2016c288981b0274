import numpy as np
import pytest

from bench.adherence import adherence, per_prompt_diversity
from bench.minimidi import Row
from bench.prompts import cases
from bench.table import markdown
from dataset_tools.sources.minimidi import TEST_PAIRS, Prompt, prompt
from dmm.errors import InputError
from eval.judges import Heard


def _heard(instruments, tempo="slow", key="C major"):
    return Heard(
        instruments={"piano": 0.1, "flute": 0.1, "organ": 0.1} | dict.fromkeys(instruments, 0.9),
        drums={"no drums": 1.0},
        tempo={"slow": 0.0, "fast": 0.0} | {tempo: 1.0},
        key={"C major": 0.0, "A minor": 0.0} | {key: 1.0},
        style={"pop": 1.0},
    )


PIANO = Prompt("piano, slow", ("piano",), "slow", "major")
DUET = Prompt("flute and organ, fast", ("flute", "organ"), "fast", "minor")


def test_adherence_counts_asked_instruments_and_not_others():
    heard = [_heard(["piano", "organ"]), _heard(["flute", "piano"], "fast", "A minor")]
    found = adherence(heard, [PIANO, DUET])
    assert found.instruments == pytest.approx(2 / 3)
    assert (found.tempo, found.mode) == (1, 1)


def test_tempo_and_mode_are_judged_by_the_likeliest_class():
    found = adherence([_heard([]), _heard([])], [PIANO, DUET])
    assert (found.instruments, found.tempo, found.mode) == (0, 0.5, 0.5)


def test_an_interval_over_prompts_holds_the_share():
    prompts = [Prompt(f"piano {i}", ("piano",), "slow", "major") for i in range(8)]
    heard = [_heard(["piano"] if i % 4 else []) for i in range(8)]
    found = adherence(heard, prompts)
    assert found.low is not None and found.high is not None
    assert found.low < found.instruments == 0.75 < found.high


def test_diversity_per_prompt_ignores_what_differs_between_prompts():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert per_prompt_diversity(rows, [PIANO, PIANO, DUET, DUET]) == 0
    assert per_prompt_diversity(rows, [PIANO, DUET, PIANO, DUET]) == 1


def test_every_piece_of_a_case_is_what_its_prompt_asks_for():
    found = cases(prompts=5, seeds=2)
    assert len(found) == 5
    for case in found:
        assert {prompt(piece) for piece in (*case.real, *case.reference)} == {case.prompt}
        assert len({piece.seed for piece in (*case.real, *case.reference)}) == 4


def test_unseen_cases_ask_for_both_instruments_of_a_test_pair():
    for case in cases(prompts=5, seeds=2, unseen=True):
        assert frozenset(case.prompt.instruments) in TEST_PAIRS


def test_a_pool_without_answers_is_an_error_that_says_what_to_change():
    with pytest.raises(InputError, match="ask for more prompts"):
        cases(prompts=1, seeds=30)


def test_an_unknown_style_is_answered_with_those_there_are():
    with pytest.raises(InputError, match=r"no style 'polka'; known: ballad, .*tango"):
        cases(prompts=1, seeds=2, style="polka")


def test_the_table_gives_fad_as_a_multiple_of_the_real_clips_own():
    found = adherence([_heard(["piano"])], [PIANO])
    rows = [Row("model", 4, found, 0.3, 0.5, 0.2), Row("real clips", 4, found, 0.1, 0.6, 0.3)]
    assert markdown(rows).splitlines()[2].split(" | ")[6] == "3"
