"""The clerk of a shop: an agent with a protocol of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sdg_prefect.models.failures import BROKEN_REPLY, CallError
from sdg_prefect.models.json_server import JSONServer
from sdg_prefect.models.services.agents import Agent, said_by


class Clerk(Agent):
    """Takes a list of lines, and answers with one. The fields are the options that a flow writes as ``connector_kwargs``."""

    key_header: ClassVar[str] = "x-shop-key"
    """The header with the key that ``agent_api_key`` names."""

    branch: str = "main street"
    """The shop that is asked."""

    async def ask(self, server: JSONServer, url: str, messages: Sequence[Mapping[str, Any]], session: str) -> Mapping[str, Any]:
        """Ask once. Attempts, limits and the ledger are not the agent's business."""
        lines = [str(message["content"]) for message in messages if message.get("role") == "user"]
        reply = await server.post(url, {"branch": self.branch, "visitor": session, "lines": lines})
        if not isinstance(reply, Mapping) or not isinstance(reply.get("line"), str):
            raise CallError(BROKEN_REPLY, "the clerk's reply has no 'line'")
        return said_by([{"role": "assistant", "content": reply["line"]}])
