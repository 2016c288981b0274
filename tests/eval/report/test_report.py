import json
import math
import re
import shutil
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
from PIL import Image

from dmm.errors import InputError
from eval.metric_table import METRICS
from eval.number_format import format_number, format_percent
from eval.report.headline import headline
from eval.report.media import Media, mel_image
from eval.report.page import TEMPLATE
from eval.report.report import write_report
from eval.report.sentences import metric_sentence

TEMPLATES = sorted(TEMPLATE.parent.glob("*.jinja"))


@pytest.fixture(autouse=True)
def no_sounds(request, monkeypatch):
    """Pages are not about encoders, unless a test asks for ``sounds``."""
    if "sounds" not in request.fixturenames:
        monkeypatch.setattr(
            "eval.report.players.clip_media", lambda path: Media("data:a,", "data:p,")
        )


@pytest.fixture
def sounds():
    """Pages with real sounds and pictures."""


@pytest.fixture
def before(tmp_path, write_clips, pulses):
    return write_clips(tmp_path / "before", [pulses(9, seed) for seed in range(6)])


@pytest.fixture
def train(tmp_path, write_clips, tone):
    return write_clips(tmp_path / "train", [tone(hz) for hz in (205, 240, 365)], prompt=None)


@pytest.fixture
def report(clips, dataset, tmp_path, reader):
    def write(out="out", **options):
        return write_report(clips, dataset, tmp_path / out, reader, **options)

    return write


@pytest.fixture
def page_of(tmp_path):
    return lambda out="out": (tmp_path / out / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def song(clips):
    """One of the clips as a long piece with joints, another with too few places to compare."""
    scores = {"flux": -0.5, "level": 1.064, "distance": 0.159, "joints": 3, "places": 104}
    for seed, seams in enumerate((scores | {"z": 1.064}, {"unscored": "2 places without a joint"})):
        record = json.loads((clips / f"clip-{seed}.json").read_text("utf-8")) | {"seams": seams}
        (clips / f"clip-{seed}.json").write_text(json.dumps(record), encoding="utf-8")


def leaves(value):
    """Every number and string in a nest of dicts and lists."""
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return [leaf for part in parts for leaf in leaves(part)]
    return [value]


def numbers(value):
    return [float(x) for x in leaves(value) if type(x) in (int, float)]


def visible(page):
    """The text of a page and of its tooltips."""
    page = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.DOTALL)
    tips = " ".join(re.findall(r'(?:title|alt|aria-label|data-id|data-prompt)="([^"]*)"', page))
    return unescape(re.sub(r"<[^>]*>", " ", page) + " " + tips)


def test_json_holds_finite_scores_of_every_metric_and_a_row_a_clip(report, tmp_path):
    made = report()
    saved = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert saved == made
    assert saved["scores"].keys() == METRICS.keys()
    assert all(math.isfinite(x) for x in numbers(saved))
    assert [row["id"] for row in saved["clips"]] == [f"clip-{i}" for i in range(6)]
    assert (saved["sets"]["clips"]["n"], saved["sets"]["real"]["n"]) == (6, 8)
    assert saved["embedder"]["name"] == "reader"


def test_every_number_on_the_page_is_in_the_json(report, before, train, song, page_of):
    made = report(baseline=before, train=train)
    known, figures = (
        set(numbers(made)),
        re.findall(r'<data value="([^"]+)">(.*?)</data>', page_of()),
    )
    assert len(figures) > 100
    assert {float(value) for value, _ in figures} <= known
    assert all(
        shown in (format_number(float(x)), format_percent(float(x)), x) for x, shown in figures
    )
    # Outside of those the page says no figure that is not part of a text in the JSON, or its own.
    text = visible(re.sub("<data.*?</data>", "", page_of()))
    own = [re.sub(r"{[%{#].*?[%}#]}|<[^>]*>", "\n", x.read_text("utf-8")) for x in TEMPLATES]
    said = [str(x) for x in leaves(made)] + "\n".join(own).split("\n")
    for piece in sorted(filter(re.compile(r"\d").search, said), key=len, reverse=True):
        text = text.replace(piece.strip(), "")
    assert re.findall(r".{9}\d.{9}", re.sub(r"\d+ of \d+ shown", "", text)) == []


def test_every_number_in_a_sentence_is_one_of_the_scores(report, before):
    made = report(baseline=before)
    few = [x["real"] + x["excess"] for x in map(made["scores"].get, ("fad", "kad"))]
    shown = {
        f(x) for x in numbers(made) + few for f in (format_number, format_percent, "{:g}".format)
    } | {"95 %"}
    said = " ".join(x for x in made["summary"]["scores"].values() if "cannot be computed" not in x)
    figures = re.findall(r"(?<![\w-])−?\d+(?:\.\d+)?(?: %)?", said)
    assert len(figures) > 20
    assert set(figures) <= shown


def test_a_distance_is_compared_with_that_of_real_clips_for_equal_numbers():
    fad = {"value": 0.55, "low": None, "real": 0.446, "real_n": 17, "excess": 0.255}

    def sentence(n):
        return metric_sentence("fad", {"scores": {"fad": fad | {"n": n}}, "baseline": None})

    assert sentence(17) == "FAD is 0.550; 17 real clips in their place score 0.446."
    assert sentence(36) == (
        "FAD is 0.550; 17 of the clips score 0.701, 17 real clips in their place 0.446."
    )


def test_page_loads_nothing_and_holds_each_clip_once(report, page_of, sounds):
    report()
    page = page_of()
    assert "http:" not in page
    assert "https:" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    media = json.loads(re.search(r'id="media">(.*?)</script>', page)[1])
    assert media.keys() == {f"clips/clip-{i}" for i in range(6)} | {
        f"real/clip-{i}" for i in range(8)
    }
    starts = {tuple(uri.split(",")[0] for uri in own.values()) for own in media.values()}
    assert starts == {("data:audio/mpeg;base64", "data:image/webp;base64")}
    assert set(re.findall(r'data-media="([^"]+)"', page)) <= media.keys()


def test_a_picture_beside_a_clip_that_is_no_mel_image_is_not_shown(clips):
    computed = mel_image(clips / "clip-0.flac")
    Image.new("RGB", (30, 30), "red").save(clips / "clip-0.png")
    assert mel_image(clips / "clip-0.flac") == computed
    (clips / "clip-0.png").write_bytes(b"no image")
    assert mel_image(clips / "clip-0.flac") == computed


def test_prompts_cannot_inject_markup(clips, report, page_of):
    text = json.dumps({"prompt": "</script><script>alert(1)</script>", "seed": 0})
    (clips / "clip-0.json").write_text(text, encoding="utf-8")
    report()
    assert "<script>alert" not in page_of()


def test_baseline_is_matched_by_prompt_and_seed_and_changes_are_reported(report, before, page_of):
    made = report(baseline=before)
    assert made["baseline"]["pairs"] == 6
    assert made["baseline"]["moved"]["kad"]["better"]
    assert headline(made) == "Not enough to say by reader: 6 clips, and 30 are needed"
    assert re.match(r"KAD fell from [\d.]+ to .*the right way", metric_sentence("kad", made))
    assert "Before and after" in page_of()


def test_a_baseline_without_partners_is_still_compared(report, before):
    for sidecar in before.glob("*.json"):
        sidecar.unlink()
    made = report(baseline=before)
    assert made["baseline"]["pairs"] == 0
    assert made["baseline"]["moved"]["cosine"]["low"] is None


def test_the_same_clips_as_baseline_have_no_change(clips, report):
    made = report(baseline=clips)
    assert not any(own["better"] for own in made["baseline"]["moved"].values())
    assert "stayed at" in metric_sentence("fad", made)


def test_clips_of_one_prompt_that_are_all_alike_are_marked(
    write_clips, tmp_path, tone, dataset, reader, page_of
):
    same = write_clips(tmp_path / "same", [tone(220)] * 4)
    made = write_report(same, dataset, tmp_path / "out", reader)
    assert [row["diversity"] for row in made["prompts"]["rows"]] == pytest.approx([0, 0], abs=1e-6)
    assert made["prompts"]["alike_below"] > 1e-4
    assert page_of().count(">alike<") == 2


def test_a_copied_training_clip_is_flagged_and_shown_with_its_original(
    clips, train, report, page_of
):
    shutil.copy(train / "clip-1.flac", clips / "clip-9.flac")
    made = report(train=train)
    first = made["copies"]["clips"][0]
    assert (first["id"], first["nearest"], first["flagged"]) == ("clip-9", "clip-1", True)
    assert (first["cosine"], first["likeness"]) == pytest.approx((1, 1), abs=1e-6)
    assert 'data-media="train/clip-1"' in page_of()
    assert "so few held-out clips" in page_of()


def test_long_pieces_show_how_much_their_joints_stand_out(report, song, page_of):
    first, second = report()["joints"]
    assert (first["id"], first["z"], first["joints"]) == ("clip-0", 1.064, 3)
    assert (second["id"], second["z"]) == ("clip-1", None)
    assert "2 places without a joint" in page_of()


def test_clips_without_joints_are_not_mentioned(report, page_of):
    assert report()["joints"] == []
    assert "Joints" not in page_of()


def test_the_first_models_bands_stand_only_beside_its_own_embedder(
    clips, dataset, reader, tmp_path, write_clips, tone, page_of
):
    write_clips(clips / "more", [tone(hz) for hz in (205, 225, 245, 265)])
    bare = write_report(clips, dataset, tmp_path / "out", reader)
    assert not any(score["band"] for score in bare["scores"].values())
    reader.identity = replace(reader.identity, name="clap", protocol="legacy")
    made = write_report(clips, dataset, tmp_path / "out", reader)
    banded = [name for name, score in made["scores"].items() if score["band"]]
    assert banded == ["clap_score", "diversity", "cosine"]  # FAD would need 1000 clips
    assert "In the bands of the first model’s owner" in page_of()


def test_without_training_clips_the_page_says_that_copies_were_not_checked(report, page_of):
    assert report()["copies"] is None
    assert "Not checked" in page_of()


def test_the_clip_least_like_the_real_ones_is_listed_first(
    clips, dataset, report, write_clips, pulses
):
    (dataset / "test" / "clip-7.flac").unlink()  # real pulses
    write_clips(clips / "odd", [pulses(16, 3)])
    far = report()["outliers"]["far"]
    assert far[0]["ids"] == ["odd/clip-0"]
    assert far[0]["beyond"]


def test_two_folders_without_prompts_have_a_report(
    write_clips, tmp_path, tone, pulses, reader, page_of
):
    a = write_clips(tmp_path / "a", [tone(hz) for hz in (200, 300, 400, 500)], prompt=None)
    b = write_clips(tmp_path / "b", [pulses(k, k) for k in range(2, 7)], prompt=None)
    made = write_report(a, b, tmp_path / "out", reader)
    assert made["scores"]["clap_score"]["value"] is None
    assert made["prompts"]["rows"] == []
    assert "no clip has a prompt" in page_of()


def test_two_clips_and_two_real_ones_have_a_report(write_clips, tmp_path, tone, reader):
    a = write_clips(tmp_path / "a", [tone(200), tone(300)])
    b = write_clips(tmp_path / "b", [tone(220), tone(330)], prompt=None)
    made = write_report(a, b, tmp_path / "out", reader)
    assert made["scores"]["diversity"]["value"] > 0
    assert made["scores"]["retrieval"]["why_not"] == "needs 2 or more prompts to choose from; got 1"


def test_page_shows_no_more_clips_than_asked(report, page_of):
    report(shown=2)
    assert "2 of 6 shown" in page_of()


def test_a_page_over_its_limit_plays_fewer_clips_but_at_least_one(report, page_of, monkeypatch):
    monkeypatch.setattr("eval.report.page.PAGE_BYTES", 1)
    report()
    media = json.loads(re.search(r'id="media">(.*?)</script>', page_of())[1])
    assert list(media) == ["clips/clip-0"]


def test_unfair_comparisons_are_reported(clips, dataset, report, write_clips, tone):
    (clips / "bad.flac").write_bytes(b"this is no sound")
    shutil.copy(dataset / "test" / "clip-1.flac", clips / "copy.flac")
    write_clips(clips / "more", [np.zeros(11025, np.float32), tone(200)[:11025]] * 5)
    made = report()
    text = " ".join(caution["says"] for caution in made["cautions"])
    for word in ("cannot be read: 1", "flatter: 1", "Silent: 5", "are of 0.50 s"):
        assert word in text
    assert made["sets"]["clips"]["left_out"][0].startswith("clips/bad.flac")


def test_generated_clips_as_reference_are_refused(clips, dataset, tmp_path, reader):
    with pytest.raises(InputError, match="name the clips first"):
        write_report(dataset, clips, tmp_path / "out", reader)


def test_same_input_gives_the_same_bytes_wherever_it_is_written(
    report, before, train, tmp_path, sounds
):
    for name in ("one", "two"):
        report(name, baseline=before, train=train)
    for file in ("report.json", "report.html"):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two
        assert str(tmp_path).encode() not in one


def test_one_more_clip_embeds_one_clip(clips, report, reader, write_clips, tone):
    report()
    assert len(reader.embedded) == 14
    write_clips(clips / "new", [tone(999)])
    report()
    assert reader.embedded[14:] == [clips / "new" / "clip-0.flac"]
