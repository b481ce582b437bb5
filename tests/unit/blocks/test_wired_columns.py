"""Columns renamed, copied, joined, chosen, flattened, filtered and set, in the way of sdg_hub 0.9."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns, find_block
from sdg_prefect.errors import BlockError
from sdg_prefect.testing import BlockResult, run_block

TEXTS: list[dict[str, Any]] = [{"t": "red apple"}, {"t": "pear"}, {"t": None}, {"t": "reddish"}]


def run(name: str, rows: list[dict[str, Any]], **fields: Any) -> BlockResult:
    cls = find_block(name)
    assert cls is not None
    return run_block(cls.model_validate({"block_name": "my block", **fields}), rows)


def kept(operation: str, value: Any, rows: list[dict[str, Any]] = TEXTS, **fields: Any) -> list[Any]:
    filtering = {"input_cols": ["t"], "filter_value": value, "operation": operation, **fields}
    return [row["t"] for row in run("ColumnValueFilterBlock", rows, **filtering).rows]


def test_columns_are_renamed_all_at_once_and_copied() -> None:
    rows = [{"a": 1, "b": 2}]
    assert run("RenameColumnsBlock", rows, input_cols={"a": "b", "b": "a"}).rows == [{"b": 1, "a": 2}]
    assert run("DuplicateColumnsBlock", rows, input_cols={"a": "c"}).rows == [{"a": 1, "b": 2, "c": 1}]
    with pytest.raises(ValidationError, match="two columns would be named c"):
        run("RenameColumnsBlock", rows, input_cols={"a": "c", "b": "c"})


def test_texts_are_joined_and_columns_flattened() -> None:
    rows: list[dict[str, Any]] = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    joined = run("TextConcatBlock", rows, input_cols=["a", "b"], output_cols="ab", separator="-")
    assert [row["ab"] for row in joined.rows] == ["1-x", "2-None"]
    flat = run("MeltColumnsBlock", [{"id": 0, "a": "x", "b": "y"}], input_cols=["a", "b"], output_cols=["value", "kind"])
    assert flat.rows == [{"id": 0, "kind": "a", "value": "x"}, {"id": 0, "kind": "b", "value": "y"}]
    with pytest.raises(ValidationError, match="has to name two columns"):
        run("MeltColumnsBlock", [], input_cols=["a"], output_cols="value")


def test_several_choices_pick_their_values_and_unknown_ones_reject_their_row() -> None:
    fields = {"choice_map": {"A": "a", "B": "b"}, "choice_cols": ["one", "two"], "output_cols": ["x", "y"]}
    rows = [{"one": "A", "two": "B", "a": 1, "b": 2}, {"one": "A", "two": "C", "a": 1, "b": 2}]
    result = run("IndexBasedMapperBlock", rows, **fields)
    assert [(row["x"], row["y"]) for row in result.rows] == [(1, 2)]
    assert [reject.message for reject in result.rejects] == ["'C' is none of 'A', 'B'."]
    with pytest.raises(ValidationError, match="each choice fills one column"):
        run("IndexBasedMapperBlock", rows, **{**fields, "output_cols": ["x"]})


def test_contains_looks_for_a_part_and_in_for_the_whole() -> None:
    assert kept("contains", ["red", "ear"]) == ["red apple", "pear", "reddish"]
    assert kept("in", ["pear tree", "reddish"]) == ["pear", "reddish"]
    assert kept("in", [1, [2, 3]], [{"t": 1}, {"t": 3}, {"t": 4}]) == [1, 3]
    assert kept("contains", "x", [{"t": ["x", "y"]}, {"t": ["z"]}]) == [["x", "y"]]


def test_nulls_and_nan_never_pass() -> None:
    assert kept("ne", "pear") == ["red apple", "reddish"]
    assert kept("ne", 1.0, [{"t": 2.0}, {"t": float("nan")}, {"t": None}]) == [2.0]
    assert kept("ge", 2, [{"t": "nan"}, {"t": "3"}, {"t": "x"}], convert_dtype="float") == [3.0]


def test_a_value_that_cannot_be_compared_rejects_its_row() -> None:
    fields = {"input_cols": "t", "filter_value": 1, "operation": "gt"}
    result = run("ColumnValueFilterBlock", [{"t": "x"}], **fields)
    assert [reject.error for reject in result.rejects] == ["NotComparable"]


@pytest.mark.parametrize(
    ("strategy", "values", "made"),
    [
        ("mode", ["b", "a", "b", "a"], "a"),
        ("min", [3, 1, None], 1),
        ("max", [3.0, 5.0, float("nan")], 5.0),
        ("mean", [1, 2, None], 1.5),
        ("median", [1, 9, 2, 4], 3.0),
        ("median", [1, 9, 2], 2.0),
        ("min", ["b", "a"], "a"),
    ],
)
def test_a_column_gets_one_value(strategy: str, values: list[Any], made: Any) -> None:
    rows = [{"t": value} for value in values]
    result = run("UniformColumnValueSetter", rows, input_cols="t", reduction_strategy=strategy)
    assert [row["t"] for row in result.rows] == [made] * len(values)


def test_a_column_of_nothing_stays_and_the_mean_of_texts_is_told() -> None:
    assert run("UniformColumnValueSetter", [{"t": None}], input_cols="t", reduction_strategy="max").rows == [{"t": None}]
    with pytest.raises(BlockError, match="column 't' is of type string, which has no mean"):
        run("UniformColumnValueSetter", [{"t": "x"}], input_cols="t", reduction_strategy="mean")


def test_a_column_that_is_replaced_is_told() -> None:
    cls = find_block("JSONStructureBlock")
    assert cls is not None
    block = cls.model_validate({"block_name": "x", "input_cols": ["a"], "output_cols": "a"})
    assert list(block.doubts(Columns(("a",)))) == ["the column 'a' is replaced."]
