import json

import pytest
from typer.testing import CliRunner

from dmm.errors import InputError
from eval.cli import app
from eval.embedders.clap import PROTOCOL_TEXTS

COMMANDS = ("clap", "diversity", "fad", "kad", "testset", "memorize", "report", "stats", "compare")
EMBEDDER = ("--embedder", "mel-stats")


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def found(*arguments):
    return json.loads(run(*arguments, *EMBEDDER, "--json").stdout)


@pytest.fixture
def train(tmp_path, write_clips, tone):
    return write_clips(tmp_path / "train", [tone(hz) for hz in (205, 240, 365)], prompt=None)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_in_a_real_example_and_names_the_embedder(command):
    printed = run(command, "--help").stdout
    assert f"Example: dmm eval {command} " in printed
    assert "--embedder" in printed and "--weights" in printed


def test_a_converter_of_checkpoints_has_an_example():
    assert "Example: dmm eval convert-clap" in run("convert-clap", "--help").stdout


def test_json_on_stdout_is_one_object_even_if_a_clip_is_skipped(clips, dataset):
    (clips / "bad.flac").write_bytes(b"this is no sound")
    result = run("fad", clips, dataset, *EMBEDDER, "--json")
    made = json.loads(result.stdout)
    assert made["sets"]["clips"]["n"] == 6
    assert len(made["sets"]["clips"]["left_out"]) == 1
    assert made["scores"]["fad"]["real_n"] == 4
    assert "skipped" in result.stderr


def test_results_carry_the_embedders_whole_identity(clips, dataset, tiny_clap):
    options = (
        "--weights",
        tiny_clap,
        "--protocol",
        "legacy",
        "--precision",
        "bf16",
        "--device",
        "cpu",
    )
    for arguments in (("fad", clips, dataset), ("diversity", clips)):
        found = json.loads(run(*arguments, *options, "--json").stdout)["embedder"]
        assert (found["name"], found["prepares"]) == ("clap", PROTOCOL_TEXTS["legacy"])
        assert (found["protocol"], found["precision"]) == ("legacy", "bf16")
        assert len(found["weights_sha256"]) == 64


def test_tables_name_embedder_direction_and_unreliable_scores(clips, dataset):
    printed = run("fad", clips, dataset, *EMBEDDER).stdout
    for words in ("embedded by mel-stats", "lower is closer", "rough: 6 of", "real clips"):
        assert words in printed


def test_distances_need_no_dataset_with_a_statistics_file(clips, dataset, tmp_path):
    kept = tmp_path / "real.safetensors"
    assert "8 clips by mel-stats" in run("stats", dataset, "--out", kept, *EMBEDDER).stdout
    for command in ("fad", "kad", "testset"):
        from_file, from_folder = (found(command, clips, real)["scores"] for real in (kept, dataset))
        for name, score in from_folder.items():
            assert from_file[name]["value"] == pytest.approx(score["value"], abs=1e-12)


def test_clips_all_alike_have_no_directions(tmp_path, write_clips, tone):
    scores = found("diversity", write_clips(tmp_path / "same", [tone(220)] * 5))["scores"]
    assert scores["diversity"]["value"] == pytest.approx(0, abs=1e-6)
    assert "hardly vary" in scores["participation_ratio"]["why_not"]


def test_memorize_flags_a_copy_and_names_its_original(clips, dataset, train):
    (clips / "copy.flac").write_bytes((train / "clip-2.flac").read_bytes())
    made = found("memorize", clips, "--train", train, "--held-out", dataset)
    assert made["clips"][0]["id"] == "copy"
    assert made["clips"][0]["nearest"] == "clip-2"
    assert made["flagged"] >= 1


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "--train is missing"),
        (["--train", "train"], "--held-out"),
        (["--train", "dataset/test", "--held-out", "dataset"], "8 of 8 clips are training clips"),
    ],
)
def test_memorize_needs_training_and_other_real_clips(
    clips, dataset, train, tmp_path, options, why
):
    paths = [x if x.startswith("--") else str(tmp_path / x) for x in options]
    with pytest.raises(InputError, match=why):
        run("memorize", clips, *paths, *EMBEDDER)


def test_compare_pairs_by_prompt_and_seed(clips, dataset, tmp_path, write_clips, pulses):
    other = write_clips(tmp_path / "other", [pulses(9, seed) for seed in range(5)])
    made = found("compare", other, clips, "--dataset", dataset)
    assert (made["pairs"], made["sets"]["B"]["n"]) == (5, 5)
    assert made["moved"]["kad"]["better"]
    assert "better" in run("compare", other, clips, "--dataset", dataset, *EMBEDDER).stdout


def test_compare_without_pairs_is_refused(clips, tmp_path, write_clips, tone):
    bare = write_clips(tmp_path / "bare", [tone(200), tone(300)], prompt=None)
    with pytest.raises(InputError, match="0 clips of equal prompt and seed"):
        run("compare", clips, bare, *EMBEDDER)


def test_report_names_the_page_it_wrote(clips, dataset, tmp_path):
    out = tmp_path / "out"
    printed = run("report", clips, dataset, "--out", out, *EMBEDDER).stdout
    assert printed.endswith(f"{out / 'report.html'}\n")
    assert (out / "report.html").is_file()


def test_clap_with_an_embedder_without_text_is_refused_in_one_line(clips):
    with pytest.raises(InputError, match="knows no text"):
        run("clap", clips, *EMBEDDER)


def test_one_clip_is_too_few_for_a_distance_and_enough_for_a_cosine(
    tmp_path, write_clips, tone, dataset
):
    one = write_clips(tmp_path / "one", [tone(220)])
    assert found("testset", one, dataset)["scores"]["cosine"]["value"] > 0
    for command in (["diversity", one], ["fad", one, dataset], ["kad", one, dataset]):
        with pytest.raises(InputError, match="1 of 1 clips can be read, and scores need 2"):
            run(*command, *EMBEDDER)


def test_an_empty_folder_is_an_error_for_the_user(tmp_path, dataset):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no audio"):
        run("fad", tmp_path / "empty", dataset, *EMBEDDER)
