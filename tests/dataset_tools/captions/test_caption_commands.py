"""``dmm data captions diff`` and ``stats``."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

from dataset_tools.captions.clean import Change
from dataset_tools.captions.history import CaptionHistory, word_edits
from dataset_tools.commands import captions
from dmm.errors import InputError


@pytest.fixture
def run():
    def invoke(*arguments):
        result = CliRunner().invoke(captions.app, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return invoke


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "songs.csv"
    path.write_text("id,caption\n1,harp\n2,Slow piano with vocals.\n3,no words; bells\n")
    return path


def test_diff_shows_only_what_changed_rule_by_rule(run, table):
    lines = run("diff", table).splitlines()
    assert lines[0] == "Slow piano with vocals."
    assert lines[1:4] == [
        "  full stop: Slow piano with vocals",
        "  voice: Slow piano",
        "  reduced: piano, slow",
    ]
    assert "harp" not in lines


def test_diff_as_json_holds_every_step_up_to_the_limit(run, table):
    (row,) = json.loads(run("diff", table, "--limit", 1, "--json", "--no-reduce", "--voice"))
    assert row["caption"] == "Slow piano with vocals"
    assert [change["rule"] for change in row["changes"]] == ["full stop"]


def test_on_a_terminal_removed_words_are_red_and_struck_added_ones_green(capsys):
    console = Console(force_terminal=True, color_system="standard", width=200)
    history = CaptionHistory("slow [b]", "calm [b]", [Change("reduced", "slow [b]", "calm [b]")])
    captions._print_history(history, console)
    out = capsys.readouterr().out
    assert "\x1b[9;31mslow\x1b[0m" in out and "\x1b[32mcalm\x1b[0m" in out and "[b]" in out


def test_the_runs_of_a_diff_add_up_to_both_texts():
    before, after = "a b c d e", "b x d e f"
    runs = word_edits(before, after)
    assert " ".join(words for kind, words in runs if kind != "added") == before
    assert " ".join(words for kind, words in runs if kind != "removed") == after


def test_stats_compare_before_with_after(run, table):
    facts = json.loads(run("stats", table, "--json"))
    assert (facts["before"]["voice"], facts["after"]["voice"]) == (1, 0)
    assert facts["before"]["captions"] == facts["after"]["captions"] == 3
    assert facts["after"]["facets"]["instrument"] == 1.0
    assert "over 77 tokens" in run("stats", table)


def test_a_datasets_recorded_captions_are_shown_once_each(run, tmp_path):
    changes = [{"rule": "spaces", "before": "a  b", "after": "a b"}]
    row = {"caption_raw": "a  b", "caption": "a b", "caption_changes": changes}
    pq.write_table(pa.Table.from_pylist([row, row]), tmp_path / "manifest.parquet")
    assert len(json.loads(run("diff", tmp_path, "--json"))) == 1


def test_a_wrong_column_names_the_nearest_and_a_wrong_source_its_path(run, table, tmp_path):
    with pytest.raises(InputError, match="no column 'captoin'; --column caption"):
        run("diff", table, "--column", "captoin")
    with pytest.raises(InputError, match="no such file"):
        run("diff", tmp_path)
    with pytest.raises(InputError, match="no such file"):
        run("diff", tmp_path / "none.csv")
