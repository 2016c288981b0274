import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from dmm.errors import InputError, PresetError
from dmm.files import parse_json, parse_toml, read_json, read_jsonl, read_table, read_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Settings(BaseModel, extra="forbid"):
    steps: int = Field(ge=1, le=100)
    rate: float = 1.0


@given(JSON)
def test_every_value_comes_back_or_is_refused_in_one_line(value):
    try:
        assert parse_json(json.dumps({"x": value}), "a.json") == {"x": value}
    except InputError as error:
        assert str(error).startswith("a.json: ") and "\n" not in str(error)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(data):
    try:
        assert isinstance(parse_json(data, "a.json"), dict)
    except InputError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 99999, "nested deeper"), ('{"x": ' * 101 + "1" + "}" * 101, "nested deeper"),
        ('{"a": {"b": NaN}}', "a.b is nan: a finite number"), ('{"x": 1e999}', "x is inf"),
        ('{"x": ' + "9" * 30 + "}", "x is an integer of 100 bits: at most 63"),
        ('{"x": ' + "9" * 5000 + "}", "not valid JSON"), (r'{"x": "\ud800"}', "lone surrogate"),
        ('{"x": 1', "not valid JSON"), ("[1]", "valid dictionary"), ("", "not valid JSON"),
    ],
)  # fmt: skip
def test_what_no_program_of_ours_writes_is_refused_by_its_field(text, reason):
    with pytest.raises(InputError, match=reason):
        parse_json(text, "a.json")


def test_a_field_out_of_its_bounds_is_named_with_its_value():
    for text, reason in (
        ('{"steps": 0}', "steps is 0: input should be greater than or equal to 1"),
        ("{}", "steps is missing"),
        ('{"steps": 1, "stepz": 2}', "stepz is 2: extra inputs"),
        (r'{"steps": 1, "\u001e": 2}', r"'\\x1e' is 2: extra inputs"),
    ):
        with pytest.raises(PresetError, match=f"a: {reason}"):
            parse_json(text, "a", Settings, error=PresetError)
    assert parse_toml("steps = 3", "a", Settings) == Settings(steps=3)
    with pytest.raises(InputError, match="not valid TOML"):
        parse_toml("steps = ", "a")


def test_measurements_may_be_infinite_where_a_file_allows_it():
    assert parse_json('{"x": Infinity}', "a", finite=False) == {"x": float("inf")}


def test_only_regular_files_are_read_and_no_pipe_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes("é".encode("latin-1"))
    for name, reason in {
        "pipe": "a pipe or device", "folder": "a folder; name a file",
        "gone": "no such file; check the path", "latin": "not UTF-8 at byte 0",
        "latin/below": "a part of this path is a file", "x" * 300: "the name is too long",
        "zero\0": "no valid path",
    }.items():  # fmt: skip
        with pytest.raises(InputError, match=reason):
            read_text(tmp_path / name)


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "a.json").open("wb") as file:
        file.truncate(1 << 34)
    with pytest.raises(InputError, match="17179869184 bytes; at most 67108864"):
        read_json(tmp_path / "a.json")


def test_a_damaged_line_is_named_or_skipped(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n{"a"')
    with pytest.raises(InputError, match="line 4"):
        read_jsonl(path)
    assert read_jsonl(path, skip_damaged=True) == [{"a": 1}, {"a": 2}]


def test_a_damaged_table_and_a_missing_column_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": [1]}), path)
    assert read_table(path, ["x"]).to_pylist() == [{"x": 1}]
    with pytest.raises(InputError, match="no column 'y'"):
        read_table(path, ["y"])
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match="not a whole Parquet file"):
        read_table(path)
