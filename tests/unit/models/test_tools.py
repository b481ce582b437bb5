"""Tools behind MCP, called over real connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.completion import Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError
from tests.services import ToolServer, serve_tools


@pytest.fixture(scope="module")
def tools() -> Iterator[ToolServer]:
    with serve_tools() as server:
        yield server


def ask(url: str, *asked: dict[str, Any], timeout: float = 10, **fields: Any) -> list[Any]:
    """Ask a server of tools, each thing for a row of its own, all at once."""

    async def all_of_them() -> list[Any]:
        client = connect(Endpoint(model="tools", api_base=url, client="mcp", timeout=timeout, **fields))
        try:
            requests = [Request("tools", f"row {place}", messages=[], params=params) for place, params in enumerate(asked)]
            return await asyncio.gather(*(client.complete(request) for request in requests))
        finally:
            await client.close()

    return [json.loads(completion.choices[0].text) for completion in asyncio.run(all_of_them())]


def test_tools_are_described_as_the_openai_protocol_has_them(tools: ToolServer) -> None:
    (listed,) = ask(tools.url, {"list_tools": True})
    shout = listed[0]
    assert (shout["type"], shout["function"]["name"], shout["function"]["description"]) == ("function", "shout", "Shout a word.")
    assert list(shout["function"]["parameters"]["properties"]) == ["word"]


def test_tools_are_called_for_several_rows_at_once(tools: ToolServer) -> None:
    words = [f"w{place}" for place in range(5)]
    results = ask(tools.url, *({"tool": "shout", "arguments": {"word": word}} for word in words))
    assert results == [[{"type": "text", "text": word.upper()}] for word in words]


def test_what_a_tool_says_about_a_failure_is_a_result(tools: ToolServer) -> None:
    failed, unknown = ask(tools.url, {"tool": "fail"}, {"tool": "nothing"})
    assert "Error executing tool fail" in json.dumps(failed)
    assert "nothing" in json.dumps(unknown)


def test_headers_are_filled_from_the_environment(tools: ToolServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOOLS_TOKEN", "t0p")
    headers = {"Authorization": "Bearer ${TOOLS_TOKEN}"}
    ask(tools.url, {"list_tools": True}, params={"headers": headers})
    assert tools.headers[-1]["authorization"] == "Bearer t0p"
    monkeypatch.delenv("TOOLS_TOKEN")
    with pytest.raises(EndpointError, match="the environment variable TOOLS_TOKEN is not set"):
        ask(tools.url, {"list_tools": True}, params={"headers": headers})


def test_a_tool_that_takes_too_long_and_a_server_that_is_away_may_be_asked_again(tools: ToolServer) -> None:
    with pytest.raises(CallError) as late:
        ask(tools.url, {"tool": "dawdle"}, timeout=0.5)
    assert late.value.verdict.error == "Timeout"
    with pytest.raises(CallError) as away:
        ask("http://127.0.0.1:1/mcp", {"list_tools": True})
    assert away.value.verdict.error == "Unreachable"


def test_a_session_that_ended_is_opened_anew(tools: ToolServer) -> None:
    async def twice() -> list[str | None]:
        client = connect(Endpoint(model="tools", api_base=tools.url, client="mcp", timeout=0.5))
        request = Request("tools", "row", messages=[], params={"tool": "shout", "arguments": {"word": "hi"}})
        try:
            first = await client.complete(request)
            await asyncio.sleep(0.8)
            return [first.choices[0].text, (await client.complete(request)).choices[0].text]
        finally:
            await client.close()

    first, again = asyncio.run(twice())
    assert first == again
