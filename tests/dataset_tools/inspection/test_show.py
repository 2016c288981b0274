"""One clip with its caption, facets, sound and page."""

import base64
import io
import json
import re

import pytest
import soundfile
import typer
from typer.testing import CliRunner

from dataset_tools.commands.show import show
from dataset_tools.dataset import read_dataset
from dataset_tools.inspection.show import (
    collect_clip_record,
    find_clip,
    original_or_decoded_sound,
    word_changes,
)
from dataset_tools.inspection.show_page import frequency_ticks, render_page
from dmm.codec.mel import load_format, mel_magnitude
from dmm.errors import InputError

app = typer.Typer()
app.command()(show)


def test_a_clip_is_found_by_a_beginning_that_is_its_own(row):
    rows = [row(n, "train") for n in (1, 2, 20)]
    assert find_clip(rows, "song-1") is rows[0]
    assert find_clip(rows, rows[1]["id"]) is rows[1]
    with pytest.raises(InputError, match=r"2 clips begin with 'song-2': .*write more of it"):
        find_clip(rows, "song-2")


def test_an_unknown_clip_names_the_nearest(row):
    rows = [row(n, "train", id=name) for n, name in enumerate(("rain-1", "piano-2", "drums-3"))]
    with pytest.raises(InputError, match=r"no clip 'pianoo-2'; the nearest: piano-2"):
        find_clip(rows, "pianoo-2")


def test_an_id_that_begins_another_is_still_found(row):
    rows = [row(1, "train", id="a"), row(2, "train", id="ab")]
    assert find_clip(rows, "a") is rows[0]


def test_facets_votes_prompt_and_relatives_are_opened(good):
    shown = collect_clip_record(read_dataset(good[0]), "song-4")
    assert shown.facets["instrument"]["piano"] == 0.9 and shown.evidence["own caption"] == 1
    assert shown.prompt == "a song, slow piano, take 4" and shown.relatives == []
    first = collect_clip_record(read_dataset(good[0]), "song-1-0000000001-0000")
    assert [other["id"] for other in first.relatives] == ["song-1-0000000001-a1-0000"]


def test_a_test_clip_has_its_own_sound_and_another_that_of_its_image(good):
    dataset = read_dataset(good[0])
    original, is_original = original_or_decoded_sound(
        dataset, collect_clip_record(dataset, "song-7")
    )
    decoded, is_decoded = original_or_decoded_sound(dataset, collect_clip_record(dataset, "song-6"))
    assert (is_original, is_decoded) == (True, False) and original.shape == decoded.shape
    loudest = [
        mel_magnitude(sound[0], dataset.fmt).sum(1).argmax() for sound in (original, decoded)
    ]
    assert loudest[0] > loudest[1]  # 620 Hz and 550 Hz


def test_ticks_lie_within_the_picture_high_ones_on_top():
    for name in ("nano", "sdxl-512"):
        heights = [top for _, top in frequency_ticks(load_format(name))]
        assert heights == sorted(heights, reverse=True) and 0 < min(heights) < max(heights) < 100


def test_the_page_embeds_image_and_sound_and_escapes_text(rewrite):
    dataset = read_dataset(rewrite(6, title="<script>alert(1)</script>"))
    page = render_page(dataset, collect_clip_record(dataset, "song-7"))
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    flac = re.search(r"data:audio/flac;base64,([^\"]+)", page)
    assert flac
    sound, sr = soundfile.read(io.BytesIO(base64.b64decode(flac[1])))
    assert sr == dataset.fmt.sr and len(sound) == dataset.fmt.clip_samples


def test_the_command_prints_the_captions_history_and_writes_the_files(good, tmp_path):
    out, page = tmp_path / "out", tmp_path / "clip.html"
    arguments = [str(good[0]), "song-7", "--out", str(out), "--html", str(page)]
    printed = CliRunner().invoke(app, arguments).stdout
    order = ["slow  piano, soft vocals", "spaces: slow[-  -]{+ +}piano", "music, slow"]
    assert [printed.index(words) for words in order] == sorted(map(printed.index, order))
    assert sorted(path.suffix for path in out.iterdir()) == [".flac", ".png"]
    assert "<audio" in page.read_text()


def test_command_and_page_show_the_description_with_its_origins(rewrite, tmp_path):
    found = {"tempo_bpm": 84.2, "key": "A minor", "loudness_lufs": -20.0, "brightness_hz": 900.0}
    found |= {"density": 2.5, "origins": {"instrument": {"organ": "embedder"}}}
    folder, page = rewrite(6, description=json.dumps(found)), tmp_path / "clip.html"
    printed = CliRunner().invoke(app, [str(folder), "song-7", "--html", str(page)]).stdout
    assert "by its sound: 84 bpm, A minor, 2.5 notes a second" in printed
    assert "organ (embedder)" in printed and "organ <span" in page.read_text()


def test_changes_put_together_are_both_texts():
    before, after = "No drums; slow piano, soft vocals", "slow  grand piano"
    pieces = word_changes(before, after)
    assert "".join(text for sign, text in pieces if sign in "=-") == before
    assert "".join(text for sign, text in pieces if sign in "=+") == after
