import json

import pytest
from typer.testing import CliRunner

from dmm.errors import InputError
from eval.clap import IN_WORDS
from eval.cli import app


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize(
    "command", ["fad clips/", "diversity clips/", "report clips/", "convert-clap"]
)
def test_help_ends_in_a_real_example(command):
    assert f"Example: dmm eval {command}" in run(command.split()[0], "--help").stdout


def test_json_on_stdout_is_one_object_even_if_a_clip_is_skipped(clips, dataset):
    (clips / "bad.flac").write_bytes(b"this is no sound")
    result = run("fad", clips, dataset, "--json")
    found = json.loads(result.stdout)
    assert (found["n"], len(found["skipped"]), found["floor_n"]) == (6, 1, 4)
    assert "skipped" in result.stderr


def test_results_carry_the_embedders_whole_identity(clips, dataset, tiny_clap):
    way = ("--weights", tiny_clap, "--protocol", "legacy", "--precision", "bf16", "--device", "cpu")
    for arguments in (("fad", clips, dataset), ("diversity", clips)):
        found = json.loads(run(*arguments, *way, "--json").stdout)["embedder"]
        assert (found["name"], found["protocol"]) == ("clap", IN_WORDS["legacy"])
        identity = found["identity"]
        assert (identity["protocol"], identity["precision"]) == ("legacy", "bf16")
        assert len(identity["weights_sha256"]) == 64


def test_scores_name_their_embedder_and_direction(clips, dataset):
    assert "mel-stats" in run("fad", clips, dataset).stdout
    assert "higher is more varied" in run("diversity", clips).stdout


def test_clips_all_alike_have_no_directions(tmp_path, write_clips, tone):
    folder = write_clips(tmp_path / "same", [tone(220)] * 5)
    found = json.loads(run("diversity", folder, "--json").stdout)
    assert found["diversity"] == pytest.approx(0, abs=1e-6)
    assert found["participation_ratio"] is None


def test_report_names_the_page_it_wrote(clips, dataset, tmp_path):
    out = tmp_path / "out"
    assert run("report", clips, dataset, "--out", out).stdout.endswith(f"{out / 'report.html'}\n")
    assert (out / "report.html").is_file()


def test_an_empty_folder_is_an_error_for_the_user(tmp_path, dataset):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no audio"):
        CliRunner().invoke(
            app, ["fad", str(tmp_path / "empty"), str(dataset)], catch_exceptions=False
        )
