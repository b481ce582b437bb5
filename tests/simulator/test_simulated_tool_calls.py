"""Calls of tools in the replies of the simulated model, as the OpenAI protocol has them, read by both clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.unit.models.canned import both_clients

pytestmark = both_clients


def tool(name: str, description: str, **properties: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


WEATHER = tool("get_weather", "Look up the weather of a city.", city={"type": "string"}, days={"type": "integer"})
MONEY = tool("convert_money", "Convert pounds into euros.", amount={"type": "number"})
TOOLS = [WEATHER, MONEY]
BOTH = "Look up the weather of a city: city Cork, days 3. Then: Convert pounds into euros: amount 2.5."


@pytest.fixture(scope="module")
def model() -> Iterator[SimulatedModel]:
    with SimulatedModel() as serving:
        yield serving


def said(text: str, *more: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [{"role": "user", "content": text}, *more]


def ask(client: Any, model: SimulatedModel, messages: Any, **params: Any) -> Completion:
    async def call() -> Completion:
        caller = connect(Endpoint(model="openai/m", api_base=model.url, client=client))
        try:
            return await caller.complete(Request("m", "row", messages=messages, params=params))
        finally:
            await caller.close()

    return asyncio.run(call())


def calls(choice: Choice) -> list[tuple[str, Any]]:
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in choice.tool_calls or ()]


def careful(client: str, model: SimulatedModel, messages: Any, **params: Any) -> Choice:
    """Return the first of several replies that calls with all that is required: one in seven does not."""
    choices = ask(client, model, messages, n=8, **params).choices
    return next(choice for choice in choices if calls(choice)[0][1].keys() == {"city", "days"})


def test_tools_that_serve_a_request_are_called_at_once(client: str, model: SimulatedModel) -> None:
    choice = careful(client, model, said(BOTH), tools=TOOLS)
    assert calls(choice) == [("get_weather", {"city": "Cork", "days": 3}), ("convert_money", {"amount": 2.5})]
    assert (choice.text, choice.finish_reason) == (None, "tool_calls")
    assert len({call["id"] for call in choice.tool_calls or ()}) == 2
    assert ask(client, model, said(BOTH), tools=TOOLS).choices == ask(client, model, said(BOTH), tools=TOOLS).choices


def test_one_by_one_they_are_called_until_the_results_are_told(client: str, model: SimulatedModel) -> None:
    messages, names = said(BOTH), []
    for result in ("sunny", '[{"type": "text", "text": "3 pounds"}]'):
        (choice,) = ask(client, model, messages, tools=TOOLS, parallel_tool_calls=False).choices
        (call,) = choice.tool_calls or ()
        names.append(call["function"]["name"])
        asked = {"role": "assistant", "content": choice.text, "tool_calls": [call]}
        messages = [*messages, asked, {"role": "tool", "tool_call_id": call["id"], "content": result}]
    (choice,) = ask(client, model, messages, tools=TOOLS, parallel_tool_calls=False).choices
    assert names == ["get_weather", "convert_money"]
    assert (choice.text, choice.finish_reason, choice.tool_calls) == ("I looked it up. sunny 3 pounds", "stop", None)


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", []),
        ("none", []),
        ("required", ["get_weather", "convert_money"]),
        ({"type": "function", "function": {"name": "convert_money"}}, ["convert_money"]),
    ],
)
def test_whether_a_tool_is_called_can_be_said(client: str, model: SimulatedModel, choice: Any, called: list[str]) -> None:
    replies = ask(client, model, said("Tell me a tale of bees."), tools=TOOLS, tool_choice=choice, n=8).choices
    assert {name for reply in replies for name, _ in calls(reply)} == set(called)
    assert all(len(calls(reply)) == bool(called) and bool(reply.text) != bool(called) for reply in replies)


def test_a_limit_cuts_the_arguments_of_a_call(client: str, model: SimulatedModel) -> None:
    made = ask(client, model, said(BOTH), tools=TOOLS, max_tokens=9)
    (choice,) = made.choices
    (call,) = choice.tool_calls or ()
    assert (choice.finish_reason, made.tokens_out) == ("length", 9)
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(call["function"]["arguments"] or "none")


RESULT = {"role": "tool", "tool_call_id": "x", "content": "sunny"}
ASKING = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


@pytest.mark.parametrize(
    ("messages", "params", "message"),
    [
        (said("q"), {"tools": []}, "non-empty list"),
        (said("q"), {"tools": [{"type": "function", "function": {}}]}, "with a 'name'"),
        (
            said("q"),
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}},
            "name a function of 'tools'",
        ),
        (said("q", RESULT), {"tools": TOOLS}, "must answer a call"),
        (said("q", ASKING), {"tools": TOOLS}, "there is none for x"),
        (said("q", ASKING, *said("and?")), {"tools": TOOLS}, "there is none for x"),
    ],
)
def test_what_makes_no_sense_is_refused(client: str, model: SimulatedModel, messages: Any, params: Any, message: str) -> None:
    with pytest.raises(CallError, match=message):
        ask(client, model, messages, **params)


def test_fixed_replies_can_call_tools(client: str, tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    lines = [
        {"match": "sunny", "reply": "It is sunny."},
        {"match": "weather", "tool_calls": [{"name": "f", "arguments": {"a": 1}}, {"name": "g", "arguments": "{no"}]},
    ]
    replies.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    with SimulatedModel(SimulatorSettings(replies=replies)) as model:
        (choice,) = ask(client, model, said("weather?"), tools=TOOLS).choices
        (told,) = ask(client, model, said("weather?", ASKING, RESULT), tools=TOOLS).choices
    assert [(call["function"]["name"], call["function"]["arguments"]) for call in choice.tool_calls or ()] == [
        ("f", '{"a": 1}'),
        ("g", "{no"),
    ]
    assert told.text == "It is sunny."


def test_a_stream_has_the_calls_in_pieces(client: str, model: SimulatedModel) -> None:
    async def chunks() -> list[Any]:
        body = {"model": "m", "messages": said(BOTH), "tools": TOOLS, "stream": True}
        async with aiohttp.ClientSession() as session, session.post(f"{model.url}/chat/completions", json=body) as response:
            lines = (await response.text()).split("\n\n")
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]

    *parts, end = [chunk["choices"][0] for chunk in asyncio.run(chunks())]
    written: dict[int, str] = {}
    for call in (call for part in parts for call in part["delta"].get("tool_calls") or ()):
        written[call["index"]] = written.get(call["index"], "") + call["function"]["arguments"]
    (choice,) = ask(client, model, said(BOTH), tools=TOOLS).choices
    assert list(written.values()) == [call["function"]["arguments"] for call in choice.tool_calls or ()]
    assert end["finish_reason"] == "tool_calls"
