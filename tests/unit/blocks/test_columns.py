"""Renaming, copying, combining, choosing, flattening, majority."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.columns import (
    CombineColumnsBlock,
    DuplicateColumns,
    FlattenColumnsBlock,
    RenameColumns,
    SelectorBlock,
    SetToMajorityValue,
)
from sdg_prefect.errors import BlockError
from sdg_prefect.testing import run_block


def rename(**columns_map: str) -> RenameColumns:
    return RenameColumns(block_name="rename", columns_map=columns_map)


def flatten(*var_cols: str) -> FlattenColumnsBlock:
    return FlattenColumnsBlock(block_name="flatten", var_cols=var_cols, value_name="value", var_name="kind")


def select(choice_map: dict[Any, str]) -> SelectorBlock:
    return SelectorBlock(block_name="select", choice_map=choice_map, choice_col="choice", output_col="picked")


def majority(column: pa.Array) -> list[Any]:
    block = SetToMajorityValue(block_name="majority", col_name="a")
    values: list[Any] = run_block(block, pa.table({"a": column})).table.column("a").to_pylist()
    return values


def test_names_can_be_swapped() -> None:
    assert run_block(rename(a="b", b="a"), [{"a": 1, "b": 2}]).rows == [{"b": 1, "a": 2}]


def test_a_name_can_be_handed_on() -> None:
    result = run_block(rename(document="raw_document", summary="document"), [{"document": "d", "summary": "s"}])
    assert list(result.rows[0].items()) == [("raw_document", "d"), ("document", "s")]


def test_a_column_whose_name_is_taken_is_lost_with_a_warning() -> None:
    block = rename(a="b")
    assert run_block(block, [{"a": 1, "b": 2, "c": 3}]).rows == [{"b": 1, "c": 3}]
    assert block.columns_after(Columns(("a", "b", "c"))).names == ("b", "c")
    assert list(block.doubts(Columns(("a", "b", "c")))) == ["'a' takes the place of the column 'b', which is lost."]
    assert list(rename(a="b", b="a").doubts(Columns(("a", "b")))) == []


def test_two_columns_cannot_get_one_name() -> None:
    with pytest.raises(ValidationError, match="two columns would be named c"):
        rename(a="c", b="c")


def test_a_copy_stands_behind_and_the_original_stays() -> None:
    block = DuplicateColumns(block_name="copy", columns_map={"a": "b"})
    assert list(run_block(block, [{"a": 1, "z": None}]).rows[0].items()) == [("a", 1), ("z", None), ("b", 1)]


def test_a_copy_can_be_copied() -> None:
    block = DuplicateColumns(block_name="copy", columns_map={"a": "b", "b": "c"})
    assert run_block(block, [{"a": 1}]).rows == [{"a": 1, "b": 1, "c": 1}]
    assert list(block.reads()) == ["a"]


def test_a_copy_takes_the_place_of_a_column_with_a_warning() -> None:
    block = DuplicateColumns(block_name="copy", columns_map={"a": "b"})
    assert run_block(block, [{"a": 1, "b": 2}]).rows == [{"a": 1, "b": 1}]
    assert list(block.doubts(Columns(("a", "b")))) == ["the copy of 'a' takes the place of the column 'b'."]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "None"), ("é", "é"), (1, "1"), (1.5, "1.5"), (True, "True"), (["a", None], "['a', None]"), ({"x": 1}, "{'x': 1}")],
)
def test_values_are_combined_as_python_writes_them(value: Any, text: str) -> None:
    block = CombineColumnsBlock(block_name="combine", columns=("a", "b"), output_col="c", separator=" + ")
    assert run_block(block, [{"a": value, "b": "x"}]).rows[0]["c"] == f"{text} + x"


def test_the_output_may_be_one_of_the_combined_columns() -> None:
    block = CombineColumnsBlock(block_name="combine", columns=("a", "b"), output_col="a")
    assert list(run_block(block, [{"a": "1", "b": "2"}]).rows[0].items()) == [("a", "1\n\n2"), ("b", "2")]


def test_a_row_takes_the_column_of_its_choice() -> None:
    rows = [{"choice": "x", "a": "1", "b": "2"}, {"choice": "y", "a": "3", "b": "4"}]
    assert [row["picked"] for row in run_block(select({"x": "a", "y": "b"}), rows).rows] == ["1", "4"]


@pytest.mark.parametrize("choice", ["z", None, "X"])
def test_a_row_with_an_unknown_choice_is_rejected_alone(choice: str | None) -> None:
    result = run_block(select({"x": "a"}), [{"choice": "x", "a": 1}, {"choice": choice, "a": 2}])
    assert [row["a"] for row in result.rows] == [1]
    assert [(reject.error, reject.message) for reject in result.rejects] == [("UnknownChoice", f"{choice!r} is none of 'x'.")]


def test_a_choice_of_a_nested_column_is_rejected() -> None:
    result = run_block(select({"x": "a"}), [{"choice": ["x"], "a": 1}])
    assert result.counts.rejected == 1


def test_choices_that_yaml_reads_as_true_and_false_raise_a_doubt() -> None:
    assert list(select({True: "a", False: "b"}).doubts(Columns())) == [
        "choice_map has the choice true and false; quote it if the rows hold YES, NO, on or off as text."
    ]
    assert list(select({"YES": "a"}).doubts(Columns())) == []


def test_chosen_values_of_several_types_share_the_type_of_all_whatever_was_chosen() -> None:
    table = pa.table({"choice": ["x", "x"], "a": [1, 2], "b": ["t", "u"]})
    assert [row["picked"] for row in run_block(select({"x": "a", "y": "b"}), table).rows] == ["1", "2"]


def test_columns_become_rows_column_by_column() -> None:
    rows = [{"id": 1, "a": "x", "b": "y"}, {"id": 2, "a": "z", "b": None}]
    assert [tuple(row.items()) for row in run_block(flatten("b", "a"), rows).rows] == [
        (("id", 1), ("kind", "b"), ("value", "y")),
        (("id", 2), ("kind", "b"), ("value", None)),
        (("id", 1), ("kind", "a"), ("value", "x")),
        (("id", 2), ("kind", "a"), ("value", "z")),
    ]


def test_flattened_rows_stand_column_by_column_over_all_shards() -> None:
    rows = [{"id": number, "a": "x", "b": "y"} for number in range(5)]
    whole, cut = run_block(flatten("a", "b"), rows), run_block(flatten("a", "b"), rows, shard_size=2)
    assert (cut.rows, cut.ids) == (whole.rows, whole.ids)


def test_flattened_numbers_widen_and_mixed_types_become_text() -> None:
    assert run_block(flatten("a", "b"), [{"a": 1, "b": 1.5}]).table.column("value").to_pylist() == [1.0, 1.5]
    assert run_block(flatten("a", "b"), [{"a": True, "b": "x"}]).table.column("value").to_pylist() == ["True", "x"]
    assert run_block(flatten("a", "b"), [{"a": [1], "b": None}]).table.column("value").to_pylist() == [[1], None]


def test_flattened_objects_keep_the_values_of_their_keys() -> None:
    values = run_block(flatten("a", "b"), [{"a": {"x": 1}, "b": {"y": "2", "x": 3}}]).table.column("value").to_pylist()
    assert values == [{"x": 1, "y": None}, {"x": 3, "y": "2"}]


def test_whole_numbers_too_large_for_a_float_are_rounded_beside_floats() -> None:
    assert run_block(flatten("a", "b"), [{"a": 2**53 + 1, "b": 0.5}]).table.column("value").to_pylist() == [2.0**53, 0.5]


def test_the_most_frequent_value_is_set_in_every_row() -> None:
    assert majority(pa.array(["b", "a", "b"])) == ["b", "b", "b"]


def test_the_smallest_of_equally_frequent_values_is_set() -> None:
    assert majority(pa.array(["b", "a", "c"])) == ["a", "a", "a"]
    assert majority(pa.array([10, 9])) == [9, 9]


def test_nulls_and_nan_do_not_count_for_the_majority() -> None:
    assert majority(pa.array([None, None, "a"])) == ["a", "a", "a"]
    assert majority(pa.array([float("nan"), float("nan"), 1.5, None])) == [1.5] * 4


def test_a_column_of_nulls_stays_as_it_is() -> None:
    assert majority(pa.array([None, None], pa.string())) == [None, None]


def test_lists_have_no_majority() -> None:
    with pytest.raises(BlockError, match="column 'a' holds lists or objects, which are not counted"):
        majority(pa.array([["x"], ["x"]]))


def test_the_majority_keeps_the_ids_of_the_rows() -> None:
    block = SetToMajorityValue(block_name="majority", col_name="a")
    result = run_block(block, [{"a": 1}, {"a": 1}, {"a": 2}])
    assert result.ids == list(result.parents)
