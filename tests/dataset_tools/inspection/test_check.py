"""Checks of a dataset: one thing is broken, and exactly that is found."""

import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import typer
from PIL import Image, PngImagePlugin
from typer.testing import CliRunner

from dataset_tools.checks.manifest import check_manifest
from dataset_tools.commands.check import check
from dataset_tools.finding import REBUILD
from dataset_tools.inspection.check import check_dataset
from dmm.codec.image import write_image
from dmm.codec.mel import load_format
from dmm.errors import InputError

FIRST = "song-1-0000000001-0000"
VAL, TEST, REG = "song-6-0000000006-0000", "song-7-0000000007-0000", "song-4-0000000004-0000"
COPY = "song-1-0000000001-a1-0000"


def only(dataset):
    """The one finding, as a line."""
    (found,) = check_dataset(dataset)
    return f"{found.kind}: {found}"


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_nothing_is_found_in_a_good_dataset(dataset):
    assert check_dataset(dataset) == []


def test_every_clip_is_counted(dataset):
    steps = []
    check_dataset(dataset, steps.append)
    assert steps == [1] * 8


# dataset.json and the manifest


def test_a_folder_of_other_things_is_no_dataset(tmp_path):
    with pytest.raises(InputError, match="is no dataset; make one with `dmm data build"):
        check_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("dataset.json", None, "no finished dataset"),
        ("dataset.json", "{}", "damaged"),
        ("dataset.json", "nonsense", "damaged"),
        ("manifest.parquet", None, "no such file"),
        ("manifest.parquet", "PAR1 nonsense", "damaged"),
    ],
)
def test_missing_and_damaged_descriptions_are_found(dataset, name, content, words):
    (dataset / name).unlink() if content is None else (dataset / name).write_text(content)
    assert words in only(dataset)


def test_a_missing_column_and_one_of_another_type_are_found(dataset):
    path = dataset / "manifest.parquet"
    table = pq.read_table(path)
    number = table.schema.get_field_index("tokens")
    changed = table.set_column(number, "tokens", table["tokens"].cast("string"))
    pq.write_table(changed.drop_columns(["dc"]), path)
    lines = [str(finding) for finding in check_dataset(dataset)]
    assert "column 'tokens' holds string" in lines[0] and "no column 'dc'" in lines[1]


def test_a_hash_and_counts_that_are_not_the_manifests_are_found(dataset):
    built = json.loads((dataset / "dataset.json").read_text())
    (dataset / "dataset.json").write_text(json.dumps(built | {"content_sha256": "0" * 64}))
    assert "content_sha256 is not that of the manifest" in only(dataset)
    (dataset / "dataset.json").write_text(json.dumps(built | {"clips": {"train": 3}}))
    assert "promises clips {'train': 3}" in only(dataset)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"track_sha256": None}, "row 1: track_sha256 is missing"),
        ({"vocal_window": 1.5}, "vocal_window 1.5 is outside 0..1"),
        ({"facets": "{"}, "facets is no JSON"),
        ({"id": FIRST + "1"}, f"id: {FIRST}: is the beginning of {FIRST}1"),
    ],
)
def test_rows_with_values_that_are_not_allowed_are_found(rewrite, values, words):
    assert words in only(rewrite(1, **values))


def test_two_clips_of_one_id_are_found(dataset, rewrite):
    image = (dataset / "train" / "song-2-0000000002-0000.png").read_bytes()
    rewrite(0, id="song-2-0000000002-0000")
    (dataset / "train" / "song-2-0000000002-0000.png").write_bytes(image)
    assert "id: song-2-0000000002-0000: two clips bear this id" in [
        f"{finding.kind}: {str(finding).split(';')[0]}" for finding in check_dataset(dataset)
    ]


# Pictures and sounds


def test_a_missing_and_a_changed_image_are_found(dataset):
    path = dataset / "train" / f"{FIRST}.png"
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    assert f"image: train/{FIRST}.png: changed since it was built" in only(dataset)
    path.unlink()
    assert f"image: train/{FIRST}.png: cannot be read (no such file" in only(dataset)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_files_that_are_no_images_are_found(dataset, content):
    (dataset / "train" / f"{FIRST}.png").write_bytes(content)
    assert only(dataset).startswith(f"image: train/{FIRST}.png: ")


def test_an_image_of_another_size_mode_or_format_is_found(dataset):
    path, fmt = dataset / "train" / f"{FIRST}.png", load_format("nano")
    write_image(path, np.zeros((256, 255), np.uint8), fmt)
    assert "255 x 256 pixels; the format has 256 x 256" in only(dataset)
    write_image(path, np.zeros((256, 256, 3), np.uint8), fmt)
    assert "pixels of mode RGB; the dataset's are L" in only(dataset)
    write_image(path, np.zeros((256, 256), np.uint8), fmt.model_copy(update={"range_db": 60.0}))
    assert "made with range_db 60.0; the dataset's format has 80.0" in only(dataset)


def test_an_image_that_does_not_say_its_format_is_found(dataset):
    path = dataset / "train" / f"{FIRST}.png"
    image = Image.new("L", (256, 256))
    image.save(path)
    assert "does not say its mel format" in only(dataset)
    text = PngImagePlugin.PngInfo()
    text.add_itxt("dmm", "{")
    image.save(path, pnginfo=text)
    assert "its mel format is damaged" in only(dataset)


@pytest.mark.parametrize("name", ["own.png", "own.JPG", "a.webp", f"{FIRST}.jpeg", f"{VAL}.png"])
def test_images_that_would_be_trained_on_unseen_are_found(dataset, name):
    (dataset / "train" / name).write_bytes(b"any")
    assert only(dataset).startswith(f"stray: train/{name}: an image that is in no manifest")


def test_other_files_of_the_user_are_ignored(dataset):
    for name in ("notes.md", ".hidden.png", "a.mid"):
        (dataset / "train" / name).touch()
    assert check_dataset(dataset) == []


def test_a_test_clip_without_its_sound_or_with_another_is_found(dataset):
    path = dataset / "test" / f"{TEST}.flac"
    soundfile.write(path, np.zeros((1000, 2)), 44100)
    assert "1000 samples at 44100 Hz in 2 channels; the format needs 112896" in only(dataset)
    path.write_bytes(b"nonsense")
    assert "no sound file" in only(dataset)
    path.unlink()
    assert f"sound: test/{TEST}.flac: missing" in only(dataset)


def test_latents_older_than_their_image_or_of_no_clip_are_found(dataset):
    latents = dataset / "train" / f"{FIRST}_0256x0256_sdxl.npz"
    latents.touch()
    assert check_dataset(dataset) == []
    os.utime(latents, (0, 0))
    assert f"cached before {FIRST}.png was last written" in only(dataset)
    latents.rename(dataset / "train" / f"{FIRST}_sdxl_te_outputs.npz")
    assert f"cached before {FIRST}.txt was last written" in only(dataset)
    (dataset / "train" / f"{FIRST}_sdxl_te_outputs.npz").rename(dataset / "train" / "gone_1x1.npz")
    assert "cached for a clip that is not in the manifest" in only(dataset)


# Captions


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"slow piano, take 2\n", "not the manifest's caption"),
        ("pi\u00e1no".encode("latin-1"), "not UTF-8 at byte 2"),
        (b"slow piano, take 1\nand more\n", "more than one line"),
        (b"\xef\xbb\xbfslow piano, take 1\n", "not the manifest's caption"),
        (None, "missing"),
    ],
)
def test_a_caption_file_that_is_not_the_manifests_is_found(dataset, content, words):
    path = dataset / "train" / f"{FIRST}.txt"
    path.unlink() if content is None else path.write_bytes(content)
    assert f"caption file: train/{FIRST}.txt: {words}" in only(dataset)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("", "empty caption"),
        ("piano ||| rain", "the separator '|||'"),
        ("piano <|endoftext|> rain", "may take what follows for the end"),
        ("piano, Mel Spectrogram music", "repeats the anchor 'mel spectrogram music'"),
    ],
)
def test_captions_that_training_would_misread_are_found(rewrite, caption, words):
    assert words in only(rewrite(0, caption=caption))


@pytest.mark.parametrize("caption", ["piano, mel spectrogram music", "slow piano, soft vocals"])
def test_an_edited_caption_is_to_be_imported_again(rewrite, caption):
    assert "dmm data captions import" in only(rewrite(0, caption=caption, caption_origin="edited"))
    assert "dmm data captions import" not in only(rewrite(0, caption=caption))


def test_class_words_are_the_anchor_of_regularisation(rewrite):
    assert "repeats the anchor 'a song'" in only(rewrite(3, caption="drums, a song"))


def test_captions_of_more_tokens_than_are_read_are_found(rewrite):
    assert check_dataset(rewrite(0, tokens=77)) == []


def test_captions_beyond_the_last_token_are_found(rewrite):
    assert "tokens: " in (line := only(rewrite(0, tokens=78))) and "78 tokens" in line


def test_voices_in_training_captions_are_found(rewrite):
    assert "the caption names a voice: 'slow piano, soft vocals'" in only(
        rewrite(0, caption="slow piano, soft vocals")
    )


def test_a_vocal_track_in_training_is_found(rewrite):
    assert "a voice with probability 0.90, but trained on" in only(
        rewrite(0, vocal_probability=0.9)
    )


def test_voices_are_allowed_with_vocals_keep(rewrite):
    dataset = rewrite(0, caption="soft vocals", vocal_probability=0.9)
    edit(dataset / "dataset.json", '"vocals": "gate"', '"vocals": "keep"')
    assert check_dataset(dataset) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("take 1", "take 9", f"has another text for {FIRST}.png"),
        (FIRST, "gone", f"does not name {FIRST}.png"),
        ('"text"', '"words"', "damaged"),
    ],
)
def test_metadata_that_is_not_the_captions_is_found(dataset, before, after, words):
    path = dataset / "train" / "metadata.jsonl"
    path.write_text(path.read_text().replace(before, after))
    (line,) = [str(f) for f in check_dataset(dataset) if f.kind == "metadata"]
    assert line.startswith("train/metadata.jsonl: ") and (words in line or "names gone.png" in line)


def test_missing_metadata_and_metadata_of_no_clip_are_found(dataset):
    path = dataset / "val" / "metadata.jsonl"
    line = path.read_text()
    path.write_text(line + line.replace(VAL, "own"))
    assert "names own.png, which is not in the manifest" in only(dataset)
    path.write_text(line * 2)
    assert "names a file twice" in only(dataset)
    path.unlink()
    assert "images would load without their captions" in only(dataset)


# dataset.toml


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("shuffle_caption = true", "shuffle_caption = false", "would be read as words"),
        ('keep_tokens_separator = "|||"', "", "keep_tokens_separator should be '|||'"),
        ("mel spectrogram music |||", "other words |||", "caption_prefix 'other words |||'"),
        ('"a song |||"', '"mel spectrogram music |||"', "asks for 'a song |||'"),
        ("flip_aug = false", "flip_aug = true", "time would run backwards"),
        ("enable_bucket = false", "enable_bucket = true", "images would be resized"),
        ('caption_separator = ","', 'caption_separator = ";"', "should be ','"),
        ('caption_extension = ".txt"', 'caption_extension = ".caption"', "should be '.txt'"),
        ("[256, 256]", "[512, 512]", "resolution [512, 512]"),
        ("is_reg = true", "", "is_reg of 'reg' should be true"),
        ('image_dir = "train"', 'image_dir = "/data/train"', "is absolute"),
        ('image_dir = "train"', 'image_dir = "other"', "is no folder of the dataset"),
        ('image_dir = "reg"', 'image_dir = "val"', "trains on 'val', which is for scoring"),
        ('image_dir = "train"', "image_dir =", "not valid TOML"),
        ("[[datasets]]", "[datasets]", "not laid out as sd-scripts wants it"),
    ],
)
def test_traps_of_the_trainers_config_are_found(dataset, before, after, words):
    edit(dataset / "dataset.toml", before, after)
    found = check_dataset(dataset)
    assert {finding.kind for finding in found} == {"config"}
    assert any(words in str(finding) for finding in found)


def test_a_missing_config_and_a_subset_without_images_are_found(dataset):
    path = dataset / "dataset.toml"
    start, reg = path.read_text().rsplit("[[datasets.subsets]]", 1)
    path.write_text(start)
    assert "no subset for reg/, which has images" in only(dataset)
    path.unlink()
    assert only(dataset).startswith("config: dataset.toml: missing") and "is_reg" in reg


def test_captions_that_are_not_shuffled_want_a_comma_after_the_anchor(dataset):
    path = dataset / "dataset.toml"
    edit(path, "shuffle_caption = true", "shuffle_caption = false")
    edit(path, "music |||", "music,")
    edit(path, "song |||", "song,")
    assert check_dataset(dataset) == []


# Splits and augmentation


def test_an_artist_on_two_sides_is_found(rewrite):
    assert only(rewrite(0, artist="artist 7")).startswith("leak: artist artist 7: on both sides")


def test_one_picture_on_two_sides_is_found(dataset, good, rewrite):
    path = dataset / "val" / f"{VAL}.png"
    path.write_bytes((dataset / "train" / f"{FIRST}.png").read_bytes())
    assert "leak: picture " in only(rewrite(5, sha256=good[1][0]["sha256"]))


def test_augmented_clips_belong_to_training_and_to_a_parent(rewrite):
    assert "augmented, but not for training" in only(rewrite(3, augmentation="{}"))


def test_an_augmented_clip_without_its_parent_is_found(rewrite):
    assert "augmented, but names no parent" in only(rewrite(7, parent=None))


def test_an_augmented_clip_of_a_parent_that_is_gone_is_found(rewrite):
    assert "made from gone, which is not in the manifest" in only(rewrite(7, parent="gone"))


def test_a_training_copy_of_a_clip_outside_train_is_found(good):
    for number, parent in ((6, TEST), (5, VAL), (3, REG)):
        rows = [row | {"parent": parent} if row["parent"] else row for row in good[1]]
        found = [str(f) for f in check_manifest({}, rows) if f.kind == "augmentation"]
        where = f"{rows[number]['split']}/{parent}"
        assert found == [f"train/{COPY}: made from {where}, not from a clip of train/; {REBUILD}"]


# The command

app = typer.Typer()
app.command()(check)


def test_the_command_says_that_all_is_well(dataset):
    result = CliRunner().invoke(app, [str(dataset)])
    assert result.exit_code == 0 and "no fault found\nwarning: test/ holds 1 track" in result.stdout


def test_the_command_prints_findings_by_kind_and_fails(dataset):
    for n in range(30):
        (dataset / "train" / f"own {n:02}.png").touch()
    (dataset / "dataset.toml").unlink()
    result = CliRunner().invoke(app, [str(dataset)])
    lines = result.stdout.splitlines()
    assert result.exit_code == 1 and len(lines) == 22
    assert lines[0].startswith("config: ") and lines[-1].startswith("stray: and 10 more")
    everything = json.loads(CliRunner().invoke(app, [str(dataset), "--json"]).stdout)
    assert len(everything) == 31 and set(everything[0]) == {"kind", "where", "what", "remedy"}
