import pytest
from typer.testing import CliRunner

from bench.cases import make_cases
from bench.cli import app, record_model
from bench.minimidi import TableRow
from bench.table import markdown_table
from dataset_tools.sources.minimidi import UNSEEN_PAIRS, prompt
from dmm.errors import InputError
from eval.listening.adherence import Adherence


def test_every_piece_of_a_case_matches_its_prompt():
    found = make_cases(prompts=5, seeds=2)
    assert len(found) == 5
    for case in found:
        assert {prompt(piece) for piece in (*case.real, *case.reference)} == {case.prompt}
        assert len({piece.seed for piece in (*case.real, *case.reference)}) == 4


def test_unseen_cases_ask_for_both_instruments_of_a_test_pair():
    for case in make_cases(prompts=5, seeds=2, unseen=True):
        assert frozenset(case.prompt.instruments) in UNSEEN_PAIRS


def test_a_pool_without_matches_is_an_error_with_a_remedy():
    with pytest.raises(InputError, match="ask for more prompts"):
        make_cases(prompts=1, seeds=30)


def test_an_unknown_style_lists_the_known_ones():
    with pytest.raises(InputError, match=r"no style 'polka'; known: ballad, .*tango"):
        make_cases(prompts=1, seeds=2, style="polka")


def test_a_style_without_unseen_pairs_lists_those_with_some():
    with pytest.raises(InputError, match="no unseen pair of instruments in 'tango'; in: ballad"):
        make_cases(prompts=1, seeds=2, style="tango", unseen=True)


def test_the_table_gives_fad_as_a_multiple_of_the_real_clips_own():
    found = Adherence(instruments=1.0, low=None, high=None, tempo=1.0, mode=1.0)
    rows = [
        TableRow("model", 4, found, 0.3, 0.5, 0.2),
        TableRow("real clips", 4, found, 0.1, 0.6, 0.3),
    ]
    assert markdown_table(rows).splitlines()[2].split(" | ")[6] == "3"


def test_a_folder_of_another_models_clips_is_refused(tmp_path):
    ours, other = {"model_sha256": "a"}, {"model_sha256": "b"}
    record_model(tmp_path, ours)
    record_model(tmp_path, ours)
    with pytest.raises(InputError, match=r"holds the clips of another model.* --out"):
        record_model(tmp_path, other)


@pytest.mark.parametrize(
    "command",
    [
        "score-vocals --clips 0",
        "train-vocals --pieces 0 --out a",
        "train-listener --clips 0 --out a",
    ],
)
def test_no_pieces_are_refused_with_the_bound(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2
    assert "greater than or equal to 1" in result.output
