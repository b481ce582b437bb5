"""What is told of rows: lengths, labels, nulls and repetitions, for columns of any kind and however they are cut."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.report.profile import profile_of, row_hashes


def column(rows: pa.Table, name: str) -> dict[str, Any]:
    """Return what is told of one column."""
    return next(one for one in profile_of([rows]).to_json()["columns"] if one["name"] == name)


def test_texts_are_measured_in_characters_and_told_apart_from_labels() -> None:
    rows = pa.table({"text": [f"{'ä' * number}" for number in range(1, 101)], "label": ["a", "b", "a", "a"] * 25})
    text, label = column(rows, "text"), column(rows, "label")
    assert (text["min"], text["max"], text["labels"], text["repeats"]) == (1, 100, None, 0)
    assert text["p50"] == pytest.approx(50, rel=0.06)
    assert label["labels"] == {"a": 75, "b": 25}


def test_few_rows_with_different_texts_are_no_labels() -> None:
    assert column(pa.table({"text": ["one", "two", "three"]}), "text")["labels"] is None


def test_repetitions_are_counted_by_column_and_by_row_and_nulls_are_none() -> None:
    texts = [f"text {number}" for number in range(50)]
    rows = pa.table({"text": [*texts, "text 0", "text 0", None, None], "n": [*range(50), 0, 99, 1, 1]})
    profile = profile_of([rows]).to_json()
    assert profile["columns"][0]["repeats"] == 2
    assert profile["columns"][0]["nulls"] == 2
    assert profile["repeats"] == 2


def test_columns_of_every_kind_are_told() -> None:
    rows = pa.table(
        {
            "list": [[1, 2], [], None],
            "struct": [{"a": 1}, None, {"a": 2}],
            "bool": [True, False, True],
            "float": [1.5, float("nan"), float("inf")],
            "null": pa.nulls(3),
            "time": [datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * 3,
            "bytes": [b"a", b"b", None],
        }
    )
    told = {one["name"]: one for one in profile_of([rows]).to_json()["columns"]}
    assert (told["list"]["min"], told["list"]["max"]) == (0, 2)
    assert told["bool"]["labels"] is None  # two values in three rows say little
    assert (told["float"]["min"], told["float"]["max"]) == (1.5, 1.5)
    assert told["null"]["nulls"] == 3


def test_shards_with_other_columns_are_told_as_far_as_they_go() -> None:
    profile = profile_of([pa.table({"a": ["x"], "b": ["y"]}), pa.table({"a": ["x"]})]).to_json()
    assert profile["rows"] == 2
    assert profile["repeats"] is None
    assert [one["rows"] for one in profile["columns"]] == [2, 1]


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3)), max_size=40), st.integers(1, 7))
def test_what_is_told_does_not_depend_on_how_rows_are_cut(values: list[tuple[str, int]], size: int) -> None:
    rows = pa.table(
        {"text": [text for text, _ in values], "n": [number for _, number in values]},
        schema=pa.schema([("text", pa.string()), ("n", pa.int64())]),
    )
    parts = [rows.slice(start, size) for start in range(0, rows.num_rows, size)]
    whole = profile_of([rows]).to_json()
    assert profile_of(parts or [rows]).to_json() == whole
    assert whole["repeats"] == len(values) - len(set(values))


def test_rows_hash_by_the_columns_that_are_named() -> None:
    rows = pa.table({"a": ["x", "x", "y"], "b": [1, 2, 1]})
    assert len(set(row_hashes(rows).tolist())) == 3
    assert row_hashes(rows, ["a"])[0] == row_hashes(rows, ["a"])[1]
