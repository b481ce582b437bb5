"""Keeping rows by a value."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.duplicates import DropDuplicates
from sdg_prefect.blocks.filters import FilterByValueBlock
from sdg_prefect.testing import BlockResult, run_block

NAN = float("nan")


def keep(values: Any, operation: str, wanted: Any, convert: str | None = None) -> BlockResult:
    block = FilterByValueBlock.model_validate(
        {
            "block_name": "keep",
            "filter_column": "a",
            "filter_value": wanted,
            "operation": f"operator.{operation}",
            "convert_dtype": convert,
        }
    )
    return run_block(block, pa.table({"a": values}))


def kept(values: Any, operation: str, wanted: Any, convert: str | None = None) -> list[Any]:
    return [row["a"] for row in keep(values, operation, wanted, convert).rows]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("eq", [2]), ("ne", [1, 3]), ("lt", [1]), ("le", [1, 2]), ("gt", [3]), ("ge", [2, 3]), ("contains", [2])],
)
def test_rows_are_compared_with_the_value(operation: str, expected: list[int]) -> None:
    assert kept([1, 2, 3], operation, 2) == expected


def test_one_of_several_values_is_enough() -> None:
    assert kept(["a", "b", "c"], "eq", ["a", "c"]) == ["a", "c"]
    assert kept([1, 2, 3], "ge", [3, 2]) == [2, 3]


def test_ne_with_several_values_keeps_nearly_every_row_and_raises_a_doubt() -> None:
    assert kept(["a", "b"], "ne", ["a", "b"]) == ["a", "b"]
    block = FilterByValueBlock(block_name="f", filter_column="a", filter_value=["a", "b"], operation="operator.ne")
    assert "keeps nearly every row" in next(iter(block.doubts(Columns())))


def test_contains_means_membership_and_not_a_part_of_the_text() -> None:
    assert kept(["cat", "concatenate"], "contains", ["cat"]) == ["cat"]


def test_a_list_is_never_one_of_the_values() -> None:
    assert keep([["a"], ["b"]], "contains", ["a"]).counts.filtered == 2


def test_nulls_are_filtered() -> None:
    result = keep(["a", None], "ne", "b")
    assert (result.counts.filtered, [row["a"] for row in result.rows]) == (1, ["a"])


def test_what_cannot_be_converted_is_filtered() -> None:
    result = keep(["1", "2.0", "x", None, " 3 ", "9" * 30], "ge", 0, "int")
    assert [row["a"] for row in result.rows] == [1, 3]
    assert result.counts.filtered == 4


def test_a_converted_column_stays_converted_and_keeps_its_place() -> None:
    block = FilterByValueBlock(block_name="f", filter_column="a", filter_value=1, operation="operator.ge", convert_dtype="float")
    result = run_block(block, [{"a": "1", "b": "x"}])
    assert list(result.rows[0].items()) == [("a", 1.0), ("b", "x")]
    assert result.table.schema.field("a").type == pa.float64()


@pytest.mark.parametrize("text", ["nan", "NaN"])
def test_nan_equals_nothing(text: str) -> None:
    assert kept([text, "1"], "eq", [NAN, 1.0], "float") == [1.0]


def test_infinity_is_no_whole_number() -> None:
    assert kept([float("inf"), NAN, 2.7], "ge", 0, "int") == [2]


def test_a_row_that_cannot_be_compared_is_rejected_alone() -> None:
    result = keep(["5", None, "7"], "lt", 6)
    assert (result.counts.rejected, result.counts.filtered) == (2, 1)
    assert {reject.error for reject in result.rejects} == {"NotComparable"}
    assert result.rejects[0].message == "cannot compare '5' with 6; set convert_dtype?"


def test_text_never_equals_a_number() -> None:
    assert keep(["1"], "eq", 1).counts.filtered == 1


def test_true_is_one() -> None:
    assert kept([True, False], "eq", 1) == [True]


def test_the_operation_is_named_in_full() -> None:
    with pytest.raises(ValidationError, match=r"operator\.eq"):
        FilterByValueBlock.model_validate({"block_name": "f", "filter_column": "a", "filter_value": 1, "operation": "eq"})


def unique(values: Any, *more: Any) -> BlockResult:
    columns = {name: values for name, values in zip("abc", (values, *more), strict=False)}
    return run_block(DropDuplicates(block_name="unique", columns=tuple(columns)), pa.table(columns))


def test_the_first_of_equal_rows_stays() -> None:
    block = DropDuplicates(block_name="unique", columns=("a",))
    result = run_block(block, [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 3}])
    assert [row["b"] for row in result.rows] == [1, 3]
    assert result.counts.deduplicated == 1


def test_zero_equals_minus_zero() -> None:
    assert unique([0.0, -0.0]).counts.deduplicated == 1


@pytest.mark.parametrize("value", [None, NAN, ["a", None], {"x": [1]}, True, "é"])
def test_equal_values_of_every_kind_are_duplicates(value: Any) -> None:
    assert unique(pa.array([value, value])).counts.deduplicated == 1


def test_null_nan_and_nothing_else_differ() -> None:
    assert unique(pa.array([None, NAN, 0.0])).counts.deduplicated == 0
    assert unique(pa.array([None, "", "None", "NaN", "null"])).counts.deduplicated == 0


def test_rows_are_duplicates_only_if_all_columns_are_equal() -> None:
    assert unique([1, 1, 1], ["x", "y", "x"]).counts.deduplicated == 1
