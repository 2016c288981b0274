"""The whole DATASET folder: contents, repeatability, continuation after a kill, refusals."""

import json
import subprocess
import sys
import time
import tomllib
from dataclasses import replace

import numpy as np
import pretty_midi
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from dataset_tools.building import cut
from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import LATER_OPTIONS, BuildOptions
from dataset_tools.building.output_folder import check_folder, prepare_folder
from dataset_tools.cli import app
from dataset_tools.inspection.check import check_dataset
from dataset_tools.sources.minimidi import UNSEEN_PAIRS
from dmm.codec.mel import load_format
from dmm.errors import DmmError, InputError

COLUMNS = (
    "id source track title artist album url licence start_s split caption_raw caption "
    "caption_origin caption_changes tokens facets vocal_probability vocal_window vocal_evidence "
    "loudness_lufs peak_db clipped dc silence bandwidth_hz gain_db augmentation parent sha256 "
    "track_sha256 truth description"
)
HAS_SOUND = {"train": {".png", ".txt"}, "val": {".png", ".txt"}, "test": {".png", ".txt", ".flac"}}


def rows(dataset):
    return pq.read_table(dataset / "manifest.parquet").to_pylist()


def rejected(dataset):
    lines = (dataset / "rejected.jsonl").read_text("utf-8").splitlines()
    return {r["input"]: r["reason"] for r in map(json.loads, lines)}


@pytest.fixture
def album(music):
    for n in range(6):
        music(f"song {n}.flac", 11, text=f"Song number {n}. Slow, soft")


def test_columns_of_the_manifest_are_exact(album, build):
    assert pq.read_schema(build() / "manifest.parquet").names == COLUMNS.split()


def test_every_clip_has_its_files_and_nothing_else_is_in_the_splits(album, build):
    dataset = build()
    expected = {f"{r['split']}/{r['id']}{x}" for r in rows(dataset) for x in HAS_SOUND[r["split"]]}
    found = {p.relative_to(dataset).as_posix() for p in dataset.glob("t*/*")}
    found |= {p.relative_to(dataset).as_posix() for p in dataset.glob("val/*")}
    assert {p for p in found if not p.endswith("metadata.jsonl")} == expected
    assert {r["split"] for r in rows(dataset)} >= {"train", "test"}


def test_images_are_one_clip_of_the_format_and_stereo_is_rgb(music, build):
    music("a.wav", channels=2)
    fmt = load_format("nano")
    for name, stereo, mode in (("mono", False, "L"), ("stereo", True, "RGB")):
        with Image.open(next(build(name, stereo=stereo).glob("train/*.png"))) as image:
            assert (image.size, image.mode) == ((fmt.n_frames, fmt.n_mels), mode)


def test_caption_file_is_clean_and_the_manifest_keeps_the_original(music, build):
    music("a.wav", text="Slow piano.\nslow piano, rain")
    dataset = build()
    (row,) = rows(dataset)
    assert (dataset / "train" / f"{row['id']}.txt").read_text() == "Slow piano, rain\n"
    assert row["caption_raw"] == "Slow piano.\nslow piano, rain"
    changes = row["caption_changes"]
    assert [change["rule"] for change in changes] == ["lines", "full stop", "repeats"]
    assert changes[-1]["after"] == row["caption"]


def test_config_for_sd_scripts_keeps_the_anchor_and_names_reg_where_it_is(music, build):
    music("a.wav")
    config = tomllib.loads((build(anchor="my anchor") / "dataset.toml").read_text())
    assert config["general"]["keep_tokens_separator"] == "|||"
    (train,) = config["datasets"][0]["subsets"]
    assert train == {"image_dir": "train", "num_repeats": 1, "caption_prefix": "my anchor |||"}
    options = {"anchor": "my anchor", "class_words": "song", "repeats": 3, "reg_minimidi": 2}
    config = tomllib.loads((build("with reg", **options) / "dataset.toml").read_text())
    train, reg = config["datasets"][0]["subsets"]
    assert (train["num_repeats"], train["caption_prefix"]) == (3, "my anchor |||")
    assert (reg["image_dir"], reg["is_reg"], reg["caption_prefix"]) == ("reg", True, "song |||")


def test_imagefolder_texts_are_prompts_beside_their_images(album, build):
    dataset = build(anchor="my anchor")
    for path in dataset.glob("*/metadata.jsonl"):
        for line in map(json.loads, path.read_text("utf-8").splitlines()):
            caption = (path.parent / line["file_name"]).with_suffix(".txt").read_text("utf-8")
            assert line["text"] == f"my anchor, {caption.strip()}"


def test_same_bytes_twice_and_with_other_numbers_of_processes(album, build, tree):
    assert tree(build("one")) == tree(build("two", jobs=2))


def test_running_again_cuts_nothing(album, build, tree, monkeypatch):
    before = tree(build())
    monkeypatch.setattr("dataset_tools.building.build.cut_track", lambda job: pytest.fail(str(job)))
    assert tree(build()) == before


BUILD_SLOWLY = """
import sys, time
from pathlib import Path
from dataset_tools.building import cut
from dataset_tools.building.build import build_dataset
from dataset_tools.building.options import BuildOptions

write = cut.write_image
cut.write_image = lambda *arguments: (time.sleep(0.1), write(*arguments))
out, music = map(Path, sys.argv[1:])
build_dataset(out, BuildOptions(format="nano", vocal_classifier="none"), input=music, jobs=1)
"""


def test_a_killed_build_that_continues_gives_the_same_bytes(album, build, tree, tmp_path, music):
    whole, killed = build("whole"), tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", BUILD_SLOWLY, killed, music.root])
    while len(list(killed.glob("*/*.png"))) < 3:
        assert child.poll() is None
        time.sleep(0.02)
    child.kill()
    child.wait()
    (killed / "train" / ".half.123.part.png").write_bytes(b"half")
    assert not (killed / "dataset.json").exists()
    assert tree(build("killed")) == tree(whole)


def test_damaged_clip_is_made_again(album, build, tree):
    before = tree(build())
    image = next((build() / "train").glob("*.png"))
    image.write_bytes(b"broken")
    assert tree(build()) == before


def test_removed_track_takes_its_clips_and_cached_latents_along(album, build, tree, music):
    extra = music("extra.wav")
    dataset = build()
    (clip,) = dataset.glob("*/extra*.png")
    clip.with_name(f"{clip.stem}_0256x0256_sdxl.npz").touch()
    (dataset / "train" / "own.png").write_bytes(b"the user's")
    extra.unlink()
    build()
    assert not list(dataset.glob("*/*extra*"))
    assert (dataset / "train" / "own.png").exists()


def test_the_number_of_removed_tracks_is_said_before_they_are(tmp_path, monkeypatch, capsys):
    out = tmp_path / "made"
    made_of(out, 5, source="minimidi", vocal_classifier="none")
    assert "earlier build" not in capsys.readouterr().err
    monkeypatch.setattr("dataset_tools.building.build._cut_and_place_tracks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made_of(out, 3, source="minimidi", vocal_classifier="none")
    assert "2 of the 5 tracks of the earlier build are not in the input" in capsys.readouterr().err
    assert len(list(out.glob("*/*.png"))) == 5 and (out / "dataset.json").exists()


def interrupted(*_):
    raise KeyboardInterrupt


def test_resolved_options_are_a_copy():
    options = BuildOptions(vocal_classifier="none")
    before = dict(options.resolved_json())
    options.resolved_json().pop("format")
    assert options.resolved_json() == before


def test_changed_options_are_refused_by_name_until_forced(album, build, tree):
    build()
    with pytest.raises(InputError, match=r"built with hop_s None, now it is 2\.0.*--force"):
        build(hop_s=2.0)
    assert tree(build(hop_s=2.0, force=True)) == tree(build("fresh", hop_s=2.0))


LATER_VALUES = {"describe": "nano-clap", "mixed_players": 0.3}


def test_every_option_that_older_datasets_lack_has_a_value_to_test():
    assert LATER_VALUES.keys() == set(LATER_OPTIONS)


@pytest.mark.parametrize("name", LATER_OPTIONS)
@pytest.mark.parametrize("is_added", [True, False])
def test_an_option_that_is_added_or_removed_is_refused_by_name(tmp_path, name, is_added):
    plain = BuildOptions(source="minimidi", format="nano", vocal_classifier="none")
    used = replace(plain, **{name: LATER_VALUES[name]})
    before, now = (plain, used) if is_added else (used, plain)
    prepare_folder(tmp_path, before, force=False)
    (tmp_path / "dataset.json").touch()
    with pytest.raises(InputError, match=f"built with {name} .*, now it is"):
        check_folder(tmp_path, now, force=False)
    check_folder(tmp_path, before, force=False)


@pytest.mark.parametrize("mistake", ["input", "classifier"])
def test_a_forced_build_with_a_mistake_leaves_the_earlier_dataset(
    music, build, tree, tmp_path, mistake
):
    music("a.wav")
    dataset = build()
    before = tree(dataset)
    classifier = "none" if mistake == "input" else "missing.onnx"
    music_root = tmp_path / "missing" if mistake == "input" else music.root
    options = BuildOptions(format="nano", vocal_classifier=classifier)
    with pytest.raises(InputError, match="missing"):
        build_dataset(dataset, options, input=music_root, jobs=1, force=True)
    assert tree(dataset) == before


def test_folder_of_other_things_is_refused_even_when_forced(music, build, tmp_path):
    music("a.wav")
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "thesis.txt").touch()
    with pytest.raises(InputError, match="name another folder"):
        build(force=True)


def test_bad_inputs_are_refused_with_reasons_while_others_go_on(music, build):
    music("good.wav")
    music("silent.wav", samples=np.zeros((120000, 1), np.float32))
    music("nan.wav", samples=np.full((120000, 1), np.nan, np.float32), subtype="FLOAT")
    music("no samples.wav", samples=np.zeros((0, 1), np.float32))
    music("short.wav", 1.4)
    music("latin1.wav").with_suffix(".txt").write_bytes("Été".encode("latin-1"))
    (music.root / "empty.mp3").touch()
    (music.root / "corrupt.flac").write_bytes(b"fLaC" + bytes(range(256)) * 8)
    (music.root / "copy.wav").write_bytes((music.root / "good.wav").read_bytes())
    refused = rejected(dataset := build())
    assert len(rows(dataset)) == 1
    assert {
        name: reason.split(":")[0] for name, reason in refused.items() if "no s" not in name
    } == {
        "silent.wav": "silent",
        "nan.wav": "not finite" if "not finite" in refused["nan.wav"] else "unreadable",
        "short.wav": "too short",
        "latin1.wav": "unreadable caption",
        "empty.mp3": "empty file",
        "corrupt.flac": "unreadable",
        "good.wav": "duplicate",
    }
    assert refused["no samples.wav"].startswith(("no samples", "unreadable"))
    assert "--pad" in refused["short.wav"]


def test_refusals_name_no_folder_of_the_users(music, build, tmp_path):
    music("good.wav")
    (music.root / "corrupt.flac").write_bytes(b"nonsense")
    assert str(tmp_path) not in (build() / "rejected.jsonl").read_text()


def test_short_track_is_padded(music, build):
    music("short.wav", 1.4)
    (row,) = rows(build(pad=True))
    assert row["start_s"] == 0


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("a.m4a", {}),
        ("a.mp3", {}),
        ("a.ogg", {}),
        ("eight kHz.wav", {"sr": 8000}),
        ("surround.wav", {"sr": 48000, "channels": 6}),
    ],
)
def test_containers_rates_and_channel_counts_work(music, build, name, kwargs):
    music(name, 5.5, **kwargs)
    assert len(rows(build())) == 1


def test_folder_without_audio_is_refused(music, build):
    with pytest.raises(InputError, match="holds no audio file"):
        build()


def test_dataset_without_clips_is_refused_with_the_reason(music, build, tmp_path):
    music("short.wav", 1)
    with pytest.raises(InputError, match=r"no clip could be made .*too short.*--pad"):
        build()
    assert rejected(tmp_path / "dataset") and not (tmp_path / "dataset" / "dataset.json").exists()


def test_tracks_without_clips_are_not_counted_in_the_splits(music, build):
    for n in range(4):
        music(f"good {n}.wav")
    for n in range(12):
        music(f"short {n}.wav", 0.5)
    assert {r["split"] for r in rows(build(val=0.0))} == {"train", "test"}


def test_full_disk_ends_in_one_line(music, build, monkeypatch):
    def full(*_):
        raise DmmError("x.png: the disk is full; free some space and run again")

    music("a.wav")
    monkeypatch.setattr(cut, "write_image", full)
    with pytest.raises(DmmError, match="disk is full"):
        build()


def test_a_dataset_inside_the_input_is_not_read(music, build, tmp_path):
    for n in range(4):
        music(f"{n}.wav")
    for _ in range(2):
        build("music/dataset")
    assert len(rows(tmp_path / "music" / "dataset")) == 4


def test_at_most_so_many_clips_of_a_track(music, build):
    music("long.wav", 31)
    assert [r["start_s"] for r in rows(build(max_clips_per_track=2))] == [
        0,
        pytest.approx(5 * 5.12),
    ]


def test_minimidi_clips_carry_their_truth(tmp_path):
    out = tmp_path / "made"
    summary = build_dataset(
        out,
        BuildOptions(source="minimidi", format="nano", vocal_classifier="none"),
        count=6,
        jobs=1,
    )
    assert sum(summary["clips"].values()) == 6
    assert all(json.loads(r["truth"]) and r["caption_origin"] == "truth" for r in rows(out))


def test_a_described_build_writes_the_missing_captions(music, build, tree):
    for n in range(6):
        music(f"{n}.wav", text="solo harp" if n == 0 else None)
    out = build(describe="nano-clap", duplicates=True)
    written, *others = sorted(rows(out), key=lambda row: row["track"])
    found = json.loads(others[0]["description"])
    assert written["caption_origin"] == "sidecar" and "harp" in written["caption"]
    assert {row["caption_origin"] for row in others} == {"sound"}
    assert found["origins"] and {"key", "loudness_lufs", "density"} <= found.keys()
    assert tree(build("again", describe="nano-clap", duplicates=True, jobs=2)) == tree(out)


def test_minimidi_scores_are_written_beside_the_images(tmp_path):
    out = tmp_path / "made"
    for count in (5, 3):  # what leaves the manifest takes its score along
        options = BuildOptions(source="minimidi", format="nano", vocal_classifier="none", midi=True)
        build_dataset(out, options, count=count, jobs=1)
    scores, images = ({p.with_suffix("") for p in out.rglob(f"*.{x}")} for x in ("mid", "png"))
    assert scores == images and len(scores) == 3
    (row, *_) = rows(out)
    midi = pretty_midi.PrettyMIDI(str(out / row["split"] / f"{row['id']}.mid"))
    assert sum(len(i.notes) for i in midi.instruments) == len(json.loads(row["truth"])["notes"])


def test_minimidi_composes_for_unseen_pairs_alone(tmp_path):
    options = BuildOptions(source="minimidi", format="nano", vocal_classifier="none", unseen=True)
    build_dataset(tmp_path / "made", options, count=3, jobs=1)
    pairs = {frozenset(json.loads(r["truth"])["instruments"][:2]) for r in rows(tmp_path / "made")}
    assert pairs <= UNSEEN_PAIRS
    with pytest.raises(InputError, match="built with unseen True, now it is False"):
        build_dataset(
            tmp_path / "made",
            BuildOptions(source="minimidi", format="nano", vocal_classifier="none"),
        )


def test_a_folder_built_before_an_option_existed_can_be_continued(album, build):
    recorded = build() / ".dmm-build" / "options.json"
    values = json.loads(recorded.read_text())
    recorded.write_text(json.dumps({name: values[name] for name in values if name != "midi"}))
    build()


@pytest.mark.parametrize(
    "option", [["--unseen"], ["--midi"], ["--soundfont", "x.sf2"], ["--styles", "pop"]]
)
def test_options_of_minimidi_are_refused_for_other_sources(option, tmp_path):
    result = CliRunner().invoke(app, ["build", "--out", str(tmp_path / "made"), *option])
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == f"{option[0]} is for --source minimidi, not for 'folder'"


def test_unknown_source_and_style_name_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="known: folder, minimidi"):
        build_dataset(tmp_path / "a", BuildOptions(source="radio"))
    with pytest.raises(InputError, match="no style 'polka'; known: "):
        build_dataset(tmp_path / "b", BuildOptions(source="minimidi", styles=("polka",)))


def test_commands_build_and_describe(album, music, tmp_path):
    out = str(tmp_path / "dataset")
    arguments = ["build", "--input", str(music.root), "--out", out, "--format", "nano"]
    built = CliRunner().invoke(app, [*arguments, "--jobs", "1"])
    assert built.exit_code == 0, built.output
    facts = json.loads(CliRunner().invoke(app, ["stats", out, "--json"]).stdout)
    assert sum(facts["clips"].values()) == 12 and facts["caption_origins"] == {"sidecar": 12}
    assert "sidecar" in CliRunner().invoke(app, ["stats", out]).stdout


def test_statistics_of_an_unfinished_dataset_name_the_command_to_run(tmp_path):
    result = CliRunner().invoke(app, ["stats", str(tmp_path)])
    assert isinstance(result.exception, InputError) and "dmm data build" in str(result.exception)


def test_a_built_dataset_passes_all_checks(album, music, build, tmp_path):
    made = {"source": "minimidi", "singers": 0.5, "vocal_classifier": "none"}
    for n in range(3):
        music(f"more/song {n}.flac", 5.5, text="folk song with male vocals, guitar")
    options = {"reg_minimidi": 3, "augment": ("gain", "tempo", "mixup"), "holdout_combos": 1}
    for dataset in (build("folder", **options), made_of(tmp_path / "m", **made, midi=True)):
        assert [str(finding) for finding in check_dataset(dataset)] == []
        assert {r["split"] for r in rows(dataset)} >= {"train", "reg"}


def made_of(out, count=12, **options):
    build_dataset(out, BuildOptions(format="nano", **options), count=count, jobs=1)
    return out


def test_augmented_copies_are_beside_their_parents_with_their_parameters(album, build, tree):
    dataset = build(augment=("gain", "tempo"), copies=2)
    copies = [r for r in rows(dataset) if r["parent"]]
    parents = [r for r in rows(dataset) if r["split"] == "train" and not r["parent"]]
    assert len(copies) == 2 * len(parents)
    for row in copies:
        assert row["id"].replace("-a1-", "-").replace("-a2-", "-") == row["parent"]
        assert json.loads(row["augmentation"]).keys() >= {"gain_db"}
        assert (dataset / "train" / f"{row['id']}.png").is_file()
    before = tree(dataset)
    assert tree(build(augment=("gain", "tempo"), copies=2)) == before


def test_copies_have_the_vocal_evidence_of_their_parents_after_a_track_was_added(music, build):
    for n in range(3):
        music(f"{n}.wav", text="slow piano, instrumental")
    before = rows(build(augment=("gain",), test=0.0, val=0.0))
    music("sung.wav", text="folk song, female vocals")
    after = rows(build(augment=("gain",), test=0.0, val=0.0))
    by_id = {row["id"]: row for row in after}
    assert {r["vocal_probability"] for r in before} != {r["vocal_probability"] for r in after}
    for copy in (row for row in after if row["parent"]):
        assert copy["vocal_probability"] == by_id[copy["parent"]]["vocal_probability"]


def test_class_words_are_no_part_of_a_regularisation_caption(music, build, tmp_path):
    music("a.wav", text="slow piano")
    other = tmp_path / "reg"
    other.mkdir()
    music("b.wav", text="song, harp").rename(other / "b.wav")
    (music.root / "b.txt").rename(other / "b.txt")
    dataset = build(reg_input=other, class_words="song")
    (row,) = [row for row in rows(dataset) if row["split"] == "reg"]
    assert row["caption"] == "harp" and check_dataset(dataset) == []


def test_sung_tracks_become_regularisation_that_says_so(music, build):
    for n in range(8):
        music(f"{n}.wav", text="slow piano, instrumental")
    music("sung.wav", text="folk song, female vocals")
    music("silent about it.wav", text="a ballad that is sung by a choir")
    dataset = build(test=0.0, val=0.0, class_words="song")
    sung = [r for r in rows(dataset) if r["split"] == "reg"]
    assert {r["title"] or r["track"][:4] for r in sung} and len(sung) == 2
    assert all("vocal" in r["caption"] or "choir" in r["caption"] for r in sung)
    assert all(r["vocal_probability"] > 0.7 for r in sung)
    learnt = json.loads((dataset / "dataset.json").read_text())["evidence_of_voices"]
    assert learnt["caption"]["coverage"] == 1.0  # "instrumental" is a vote too


def test_tracks_are_brought_to_one_loudness_as_far_as_peaks_allow(music, build, tone):
    for n, level in enumerate((0.02, 0.1)):
        music(f"{n}.wav", samples=level * tone(6.0, hz=300.0 + 50 * n))
    found = rows(build(loudness_lufs=-20.0))
    assert [round(r["loudness_lufs"], 1) for r in found] == [-20.0, -20.0]
    assert found[0]["gain_db"] > found[1]["gain_db"] > 0


def test_windows_begin_on_the_beat(music, build):
    clicks = np.zeros((22050 * 20, 1), np.float32)
    for start in range(7000, len(clicks) - 400, 11025):
        clicks[start : start + 400, 0] = 0.5 * np.hanning(400)
    music("clicks.wav", samples=clicks)
    starts = [r["start_s"] * 22050 for r in rows(build(beats=True, max_silence=1.0))]
    late = [(start - 7000 + 5000) % 11025 - 5000 for start in starts[:-1]]  # the last is at the end
    assert len(late) == 3 and all(abs(samples) < 200 for samples in late)


def test_same_sound_in_another_file_is_refused(music, build):
    sound = np.random.default_rng(0).normal(0, 0.1, (22050 * 6, 1)).astype(np.float32)
    music("one.wav", samples=sound)
    music("two.flac", samples=0.5 * sound)
    dataset = build()
    assert len(rows(dataset)) == 1 and "near-duplicate" in rejected(dataset)["two.flac"]
    assert len(rows(build("all", duplicates=True))) == 2
