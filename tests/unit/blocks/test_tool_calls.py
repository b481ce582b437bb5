"""Calls of tools, held against the tools that their row offers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sdg_prefect.blocks.tool_calls import CheckToolCalls
from sdg_prefect.testing import BlockResult, run_block

WEATHER = {
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            "days": {"type": "integer", "minimum": 1, "maximum": 7},
        },
        "required": ["city"],
    },
}
PING = {"type": "function", "function": {"name": "ping", "description": "Say that you are there."}}


def checked(calls: Any, tools: Any = (WEATHER, PING), **config: Any) -> BlockResult:
    block = CheckToolCalls.model_validate({"block_name": "c", "calls_col": "calls", "tools_col": "tools", **config})
    offered = list(tools) if isinstance(tools, tuple) else tools
    return run_block(block, [{"tools": offered if isinstance(tools, str) else json.dumps(offered), "calls": calls}])


def called(**arguments: Any) -> str:
    return json.dumps([{"name": "get_weather", "arguments": arguments}])


@pytest.mark.parametrize(
    "calls",
    [
        called(city="Oslo", unit="celsius", days=3),
        json.dumps({"name": "ping", "arguments": {}}),
        json.dumps([{"function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}, {"name": "ping"}]),
        [{"name": "get_weather", "arguments": {"city": "Oslo", "days": None}}],
        [{"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Ås"}'}}],
    ],
)
def test_calls_fit_as_text_or_objects_with_or_without_the_function_around_them(calls: Any) -> None:
    (row,) = checked(calls).rows
    assert (row["fits"], row["misfit"]) == (True, None)


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        (called(unit="celsius"), "get_weather: $: 'city' is a required property"),
        (called(city=3), "get_weather: $.city: 3 is not of type 'string'"),
        (called(city="Oslo", unit="kelvin"), "get_weather: $.unit: 'kelvin' is not one of ['celsius', 'fahrenheit']"),
        (called(city="Oslo", days=9), "get_weather: $.days: 9 is greater than the maximum of 7"),
        (called(city="Oslo", country="NO"), "('country' was unexpected)"),
        ('[{"name": "get_wether", "arguments": {}}]', "there is no tool 'get_wether'. Did you mean 'get_weather'?"),
        ('[{"name": "ping", "arguments": {"loud": true}}]', "('loud' was unexpected)"),
        ('[{"name": "ping", "arguments": "[1]"}]', "ping: the arguments are no object"),
        ('[{"name": "ping", "arguments": "{"}]', "ping: the arguments are no JSON"),
        ('[{"function": "ping"}]', "a call is an object with 'name' and 'arguments'"),
        ("ping()", "the text is no JSON"),
        ('["ping"]', "a call is an object with 'name' and 'arguments', not \"ping\""),
        ("[]", "there is no call"),
        (None, "there is no call"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(calls: Any, reason: str) -> None:
    (row,) = checked(calls).rows
    assert row["fits"] is False
    assert reason in row["misfit"]


def test_the_first_call_that_does_not_fit_counts() -> None:
    (row,) = checked(json.dumps([{"name": "ping"}, {"name": "pong"}, {"name": "get_weather"}])).rows
    assert row["misfit"].startswith("there is no tool 'pong'")


def test_rows_whose_calls_do_not_fit_can_be_left_out_and_count_as_filtered() -> None:
    assert checked(called(city="Oslo"), keep="fitting").rows[0]["fits"] is True
    left = checked(called(), keep="fitting")
    assert not left.rows
    assert not left.rejects


def test_no_call_and_unknown_arguments_can_be_allowed() -> None:
    assert checked("[]", may_be_empty=True).rows[0]["fits"] is True
    assert checked(called(city="Oslo", country="NO"), allow_unknown_arguments=True).rows[0]["fits"] is True
    closed = {**WEATHER, "parameters": {**WEATHER["parameters"], "additionalProperties": False}}  # type: ignore[dict-item]
    assert checked(called(city="Oslo", country="NO"), (closed,), allow_unknown_arguments=True).rows[0]["fits"] is False
    without_reason = checked(called(), reason_col=None).rows[0]
    assert "misfit" not in without_reason


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ("no tools", "the text is no JSON"),
        ("[]", "there are no tools"),
        ('["ping"]', "a tool is an object with 'name' and 'parameters'"),
        ('[{"name": "a", "parameters": {"type": "nonsense"}}]', "the parameters of 'a' are not a JSON Schema"),
        ('[{"name": "a", "parameters": {"$ref": "http://elsewhere.example/s.json"}}]', "lies outside of it"),
    ],
)
def test_tools_that_cannot_be_read_reject_their_row(tools: str, why: str) -> None:
    result = checked(called(city="Oslo"), tools)
    assert result.rows == []
    (reject,) = result.rejects
    assert reject.error == "BadTools"
    assert why in reject.message


def test_tools_can_be_a_column_of_objects_in_which_each_has_the_keys_of_all() -> None:
    block = CheckToolCalls(block_name="c", calls_col="calls", tools_col="tools")
    other = {"name": "count", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}
    rows = [
        {"tools": [WEATHER], "calls": [{"name": "get_weather", "arguments": {"city": "Oslo", "n": None}}]},
        {"tools": [other], "calls": [{"name": "count", "arguments": {"city": None, "n": 2}}]},
    ]
    assert [row["fits"] for row in run_block(block, rows).rows] == [True, True]
