"""ATTRIBUTION.md."""

import random
import re

import pytest

from dataset_tools.building.attribution import attribution_markdown, forbidden_uses


def headings(text):
    return re.findall(r"^## (.*)", text, re.MULTILINE)


def test_unknown_licences_come_first_with_a_warning_then_limited_ones(row):
    licences = ("CC BY 4.0", None, "CC BY-NC-SA 3.0", "CC0", " ")
    text = attribution_markdown([row(n, "train", licence=name) for n, name in enumerate(licences)])
    assert headings(text) == [
        "Unknown licence (2)", r"CC BY\-NC\-SA 3.0 (1)", "CC BY 4.0 (1)", "CC0 (1)",
    ]  # fmt: skip
    assert text.index("**Warning:**") < text.index("Song 1") < text.index("**Limited:**")


def test_a_track_has_one_line_however_many_its_clips(row):
    clips = [row(1, "train", id=f"x-{n}") for n in range(5)]
    text = attribution_markdown([*clips, row(2, "test")])
    assert [line for line in text.splitlines() if line.startswith("- ")] == [
        "- “Song 1” by Artist 1 · source folder · <https://example.org/1> · CC BY 4.0",
        "- “Song 2” by Artist 2 · source folder · <https://example.org/2> · CC BY 4.0",
    ]


def test_the_order_of_tracks_does_not_matter(row):
    rows = [row(n, "train", licence=f"CC {n % 3}") for n in range(30)]
    assert attribution_markdown(random.Random(0).sample(rows, 30)) == attribution_markdown(rows)


@pytest.mark.parametrize(
    "title",
    ["*bold*", "[a](http://evil)", "<script>", "a\n\n# head", "`code`", r"back\slash", "a|b"],
)
def test_markdown_in_titles_is_escaped(row, title):
    text = attribution_markdown(
        [row(1, "train", title=title, artist=title, url=f"javascript:{title}")]
    )
    line = next(line for line in text.splitlines() if line.startswith("- "))
    assert not re.search(r"(?<!\\)[*\[\]<`|#]", line)
    assert "".join(line.split("”")[0][3:].replace("\\", "")) == " ".join(
        title.replace("\\", "").split()
    )


def test_nameless_tracks_are_named_by_their_id(row):
    text = attribution_markdown([row(1, "train", title=None, artist=None, url=None)])
    assert r"untitled (song\-1\-0000000001), artist unknown · source folder · CC BY 4.0" in text


@pytest.mark.parametrize(
    ("licence", "forbidden"),
    [
        ("CC BY-NC-ND 4.0", ["no commercial use", "no derivatives"]),
        ("http://creativecommons.org/licenses/by-nc-sa/3.0/", ["no commercial use"]),
        ("Attribution-NonCommercial", ["no commercial use"]),
        ("Attribution No Derivatives", ["no derivatives"]),
        ("CC BY-SA 4.0", []),
        ("Band licence, inc. sounds", []),
    ],
)
def test_restrictions_are_read_from_names_and_addresses(licence, forbidden):
    assert forbidden_uses(licence) == forbidden
