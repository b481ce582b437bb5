"""JSON into columns and columns into JSON."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.json_blocks import JSONParserBlock, JSONStructureBlock
from sdg_prefect.blocks.values import column_of
from sdg_prefect.testing import run_block


def parse(*texts: str | None, **fields: Any) -> list[dict[str, Any]]:
    block = JSONParserBlock.model_validate({"block_name": "parse", "input_cols": "text", "drop_input": True, **fields})
    return run_block(block, [{"id": place, "text": text} for place, text in enumerate(texts)]).rows


def structure(row: dict[str, Any], **fields: Any) -> str:
    block = JSONStructureBlock.model_validate({"block_name": "s", "input_cols": list(row), "output_cols": "json", **fields})
    text: str = run_block(block, [row]).rows[0]["json"]
    return text


def test_each_key_becomes_a_column_and_a_row_without_json_stays_with_nulls() -> None:
    assert parse('{"a": 1}', "none", None, '{"b": "x"}') == [
        {"id": 0, "a": 1, "b": None},
        {"id": 1, "a": None, "b": None},
        {"id": 2, "a": None, "b": None},
        {"id": 3, "a": None, "b": "x"},
    ]


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', 'Sure:\n```json\n{"a": 1,}\n```', '{"a": 1', '[{"a": 1}]', '{"a": 1 , }'],
    ids=["plain", "fenced", "cut off", "in a list", "comma"],
)
def test_json_is_found_among_other_text_and_mended(text: str) -> None:
    assert parse(text) == [{"id": 0, "a": 1}]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1, 2]", {"items": [1, 2]}),
        ('[{"a": 1}, {"a": 2}]', {"items": [{"a": 1}, {"a": 2}]}),
        ('{"a": [1, 2], "b": oops', {}),
        ('{"text": "so, }"}', {"text": "so, }"}),
        ('{"text": "two\nlines"}', {"text": "two\nlines"}),
    ],
)
def test_lists_broken_json_and_commas_in_texts(text: str, found: dict[str, Any]) -> None:
    assert parse(text) == [{"id": 0, **found}]


def test_a_text_that_has_to_be_json_as_a_whole() -> None:
    assert parse("42", 'so {"a": 1}', extract_embedded=False) == [{"id": 0, "value": 42}, {"id": 1, "value": None}]


def test_only_wanted_keys_become_columns_and_are_always_there() -> None:
    block = JSONParserBlock(block_name="p", input_cols=("text",), output_cols=("a", "b"), field_prefix="x_", drop_input=True)
    assert block.columns_after(Columns(("id", "text"))) == Columns(("id", "x_a", "x_b"))
    assert run_block(block, [{"id": 0, "text": '{"a": 1, "z": 2}'}]).rows == [{"id": 0, "x_a": 1, "x_b": None}]


def test_all_columns_are_possible_where_no_keys_are_named() -> None:
    block = JSONParserBlock(block_name="p", input_cols=("text",))
    assert block.columns_after(Columns(("text",))) == Columns(("text",), open=True)


def test_a_key_never_takes_the_place_of_the_row_id() -> None:
    assert parse('{"__row_id__": "mine", "a": 1}') == [{"id": 0, "a": 1}]


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ([1, 2.5, None], [1.0, 2.5, None]),
        ([{"a": 1}, {"b": "x"}], [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ([1, "x", None, True], ["1", "x", None, "true"]),
        ([{"a": {}}, {"a": {}}], ['{"a": {}}', '{"a": {}}']),
        ([2**70], [str(2**70)]),
        ([], []),
    ],
)
def test_values_of_one_column_get_one_type(values: list[Any], made: list[Any]) -> None:
    assert column_of(values).to_pylist() == made


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(json_values, max_size=5))
def test_any_values_make_a_column_that_a_file_can_hold(values: list[Any]) -> None:
    column = column_of(values)
    assert len(column) == len(values)
    assert [value is None for value in values] == [value is None for value in column.to_pylist()]
    pa.parquet.write_table(pa.table({"column": column}), pa.BufferOutputStream())


def test_columns_become_one_object_in_the_order_given() -> None:
    assert structure({"b": "ü", "a": [1, None]}) == '{"b": "ü", "a": [1, null]}'
    assert structure({"a": 1}, pretty_print=True) == '{\n  "a": 1\n}'


def test_what_json_does_not_know_is_null_or_text() -> None:
    made = json.loads(structure({"nan": float("nan"), "inf": [float("inf")], "day": date(2026, 1, 2), "none": None}))
    assert made == {"nan": None, "inf": [None], "day": "2026-01-02", "none": None}


def test_half_of_a_character_that_json_names_is_replaced() -> None:
    assert parse('{"a": "x\\ud83d", "b": ["\\ud83d"]}') == [{"id": 0, "a": "x?", "b": ["?"]}]
