"""Servers of tools that speak the Model Context Protocol over streamable HTTP (specification of 2025-11-25)."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, judge
from sdg_prefect.models.headers import filled
from sdg_prefect.models.services.sessions import Sessions

if TYPE_CHECKING:
    from mcp import Client


class ToolClient:
    """Lists the tools of a server, or calls one of them. Each row has a session of its own, which ends when it is idle.

    A request names in ``params`` either ``list_tools``, or a ``tool`` and its ``arguments``. The completion's text is JSON: the
    tools as the OpenAI protocol describes them, or the parts of the result. What a tool says about a failure of its own is one
    too.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        headers = endpoint.params.get("headers")
        self._sessions = Sessions(
            endpoint.api_base or "", filled(headers) if isinstance(headers, Mapping) else {}, endpoint.timeout
        )

    async def complete(self, request: Request) -> Completion:
        """Make one attempt; see ``Client``."""
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED, REQUEST_TIMEOUT

        started = time.perf_counter()
        work = _list_tools if request.params.get("list_tools") else _calling(request.params)
        try:
            made = await self._sessions.use(request.row_id, work)
        except MCPError as error:
            if error.code == REQUEST_TIMEOUT:
                raise CallError(judge(408, ""), f"no reply within {self._endpoint.timeout:g} s") from error
            if error.code == CONNECTION_CLOSED:
                raise CallError(judge(None, "connection error"), f"connection error: {error}") from error
            made = {"error": str(error)}
        text = json.dumps(made, ensure_ascii=False)
        return Completion((Choice(text, "stop"),), self._endpoint.model, cost_usd=0.0, seconds=time.perf_counter() - started)

    async def close(self) -> None:
        """End all sessions."""
        await self._sessions.close()


async def _list_tools(session: Client) -> Any:
    """Return all tools of a server, which may give them in parts."""
    page = await session.list_tools()
    tools = list(page.tools)
    while page.next_cursor:
        page = await session.list_tools(cursor=page.next_cursor)
        tools += page.tools
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema},
        }
        for tool in tools
    ]


def _calling(params: Mapping[str, Any]) -> Any:
    async def call(session: Client) -> Any:
        result = await session.call_tool(str(params["tool"]), dict(params.get("arguments") or {}))
        return [_part(content.model_dump(mode="json", by_alias=True, exclude_none=True)) for content in result.content]

    return call


def _part(content: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": content["text"]} if content.get("type") == "text" else content
