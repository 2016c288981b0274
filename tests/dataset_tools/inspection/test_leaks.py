"""Leaks between training, validation and test."""

import pytest

from dataset_tools.leaks import leak_messages

SIDES = [("train", "val"), ("train", "test"), ("reg", "test"), ("reg", "val"), ("val", "test")]


def test_rows_of_their_own_leak_nothing(row):
    splits = ("train", "train", "reg", "val", "test")
    assert leak_messages([row(n, split) for n, split in enumerate(splits)]) == []


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize(
    ("column", "word"),
    [("track", "track"), ("track_sha256", "source file"), ("sha256", "picture")],
)
def test_nothing_is_shared_between_sides(row, sides, column, word):
    a, b = row(1, sides[0]), row(2, sides[1])
    (leak,) = leak_messages([a, b | {column: a[column]}])
    assert leak.startswith(f"{word} {a[column]}: on both sides: ")
    assert f"{sides[0]}/{a['id']}" in leak and f"{sides[1]}/{b['id']}" in leak


@pytest.mark.parametrize("sides", [("train", "reg"), ("test", "test"), ("train", "train")])
def test_one_side_may_share_anything(row, sides):
    a = row(1, sides[0])
    shared = {name: a[name] for name in ("track", "track_sha256", "sha256", "artist")}
    assert leak_messages([a, row(2, sides[1], **shared)]) == []


def test_an_artist_is_one_whatever_the_case_but_only_where_artists_were_grouped(row):
    rows = [row(1, "train", artist="Ana Ño"), row(2, "test", artist="ANA ÑO")]
    assert len(leak_messages(rows, "artist")) == 1
    assert leak_messages(rows, "album") == leak_messages(rows, "track") == []


def test_an_album_leaks_where_albums_were_grouped_or_no_artist_is_named(row):
    named = [row(1, "train", album="One"), row(2, "val", album="one")]
    nameless = [r | {"artist": None} for r in named]
    assert len(leak_messages(named, "album")) == len(leak_messages(nameless, "artist")) == 1
    assert leak_messages(named, "artist") == leak_messages(nameless, "track") == []


def test_missing_names_are_not_the_same_name(row):
    rows = [row(1, "train", artist=None, album=None), row(2, "test", artist=None, album=None)]
    assert leak_messages(rows, "artist") == leak_messages(rows, "album") == []


def test_a_copy_stays_on_the_side_of_its_parent(row):
    rows = [row(1, "test"), row(2, "train")]
    (leak,) = leak_messages([rows[0], rows[1] | {"parent": rows[0]["id"]}])
    assert leak.startswith(f"train/{rows[1]['id']}: made from test/")


def test_leaks_are_single_lines_in_an_order_that_rows_do_not_decide(row):
    rows = [row(n, "train", artist=f"line\nbreak {n}") for n in range(3)]
    rows += [row(n + 9, "test", artist=f"line\nbreak {n}") for n in range(3)]
    assert leak_messages(rows) == leak_messages(rows[::-1]) and all(
        "\n" not in leak for leak in leak_messages(rows)
    )
