"""Tables of captions: any header, id, cell and encoding, imported into a dataset."""

import csv
import io
import os
import shutil

import pytest
from hypothesis import strategies as st

from dataset_tools.building.build import build_dataset
from dataset_tools.building.import_captions import import_captions
from dataset_tools.building.options import BuildOptions
from dataset_tools.captions.clean import DEFAULT_ANCHOR
from dataset_tools.captions.history import caption_histories
from dataset_tools.dataset import content_sha256, read_dataset
from dmm.errors import InputError

USUAL = "id,caption"
HEADERS = st.sampled_from(
    [USUAL] * 50 + ["id,caption,origin", "caption,id", "id,id,caption", "ID,caption", "id;caption",
     "", "caption", 'id,"cap\ntion"', "id,caption" + ",x" * 5_000]
)  # fmt: skip
CAPTIONS = st.text(max_size=30).map("piano ".__add__) | st.sampled_from(
    ["a" * 140_000, "b" * 130_000, "x" + "." * 130_000 + "x", "&" + "amp;" * 30_000,
     ", ".join(map(str, range(20_000))), "a. " * 40_000, "<a" * 60_000,
     "&#xD800;", "\u202ea\u2028b", "'" * 100_000, "no voice " * 14_000]
)  # fmt: skip
STRANGE = st.sampled_from(
    ["<b></b>...", "|" * 130_000, "\0", "\ufeff", '"', "../x", "/etc/passwd", "", "a\0", "x\ny",
     "\x1b[2J", "i" * 130_000]
)  # fmt: skip
ENCODINGS = ["utf-8"] * 50 + ["utf-8-sig", "utf-16", "latin-1", "utf-32", "cp037"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions") / "data"
    options = BuildOptions(source="minimidi", format="nano", augment=("gain",), test=0.3, val=0.0)
    build_dataset(folder, options, count=4, jobs=1)
    return folder


@st.composite
def tables(draw, ids):
    """CSV of any header, ids and captions, in any delimiter and encoding; or a broken one."""
    known, strange = st.sampled_from(ids), STRANGE | st.text(max_size=5)
    rows = draw(
        st.lists(st.tuples(known, CAPTIONS), min_size=1, max_size=4, unique_by=lambda row: row[0])
    )
    if draw(st.integers(0, 4)) == 4:
        rows += draw(st.lists(st.lists(strange | CAPTIONS), max_size=2))
    text, end = io.StringIO(), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    delimiter = draw(st.sampled_from(",,,,,,,,;\t"))
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    table = draw(HEADERS) + end + text.getvalue()
    return table.encode(draw(st.sampled_from(ENCODINGS)), "replace")


def test_a_table_is_imported_or_refused(built, count, tmp_path, try_inputs, hostile):
    ids = [row["id"] for row in read_dataset(built).rows]
    usual = "".join(f"{clip},a piano in the rain\n" for clip in ids)
    contents = [f"id,caption\n{usual}".encode(), f"\ufeffid,caption\r\n{usual}".encode()]
    surrogates = b"id,caption\n" + ids[0].encode() + b",\xed\xa0\x80\n"
    inputs = tables(ids) | hostile.mutated([*contents, surrogates])
    folder, table = tmp_path / "data", tmp_path / "table.csv"
    shutil.copytree(built, folder)

    def target(data):
        table.write_bytes(data)
        before = content_sha256(read_dataset(folder).rows)
        try:
            import_captions(folder, table)
        except InputError:
            assert content_sha256(read_dataset(folder).rows) == before
            raise
        finally:
            found = read_dataset(folder)
            assert found.built["content_sha256"] == content_sha256(found.rows)
            assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "table.csv"]

    try_inputs("tables of captions", inputs, target, count)


def test_captions_of_any_table_are_cleaned_or_refused(built, count, tmp_path, try_inputs, hostile):
    path = tmp_path / "table.csv"

    def target(data):
        path.write_bytes(data)
        for found in caption_histories(path, anchor=DEFAULT_ANCHOR, keep_voice=False, reduce=True):
            assert "\n" not in found.caption

    try_inputs(
        "tables of captions",
        tables(["a", "b"]) | hostile.mutated([b"id,caption\na,b\n"]),
        target,
        count,
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_not_waited_for(built, tmp_path):
    os.mkfifo(tmp_path / "table.csv")
    with pytest.raises(InputError, match="a pipe"):
        import_captions(built, tmp_path / "table.csv")
