"""Reward models behind vLLM's pooling protocol: messages in, one score per step out."""

from __future__ import annotations

import json
import time
from typing import Any

from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.connections import key_header
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import BROKEN_REPLY, CallError
from sdg_prefect.models.json_server import JSONServer


class PoolingClient:
    """Posts to the address that the endpoint's ``api_base`` is."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._address = endpoint.api_base or ""
        self._server = JSONServer(endpoint.timeout, key_header(self._address, endpoint.key()), endpoint.secrets())

    async def complete(self, request: Request) -> Completion:
        """Make one attempt; the completion's text is a JSON list of numbers. See ``Client``."""
        started = time.perf_counter()
        body = {"model": self._endpoint.model, "messages": [dict(message) for message in request.messages or ()]}
        reply = await self._server.post(self._address, body)
        try:
            scores = _scores(reply)
            usage = reply.get("usage") or {}
            tokens = int(usage.get("prompt_tokens") or 0)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise CallError(BROKEN_REPLY, f"not a pooling reply: {type(error).__name__}: {error}") from error
        return Completion(
            choices=(Choice(text=json.dumps(scores)),),
            model=str(reply.get("model") or self._endpoint.model),
            tokens_in=tokens,
            cost_usd=0.0,
            seconds=time.perf_counter() - started,
        )

    async def close(self) -> None:
        """Give back connections."""
        await self._server.close()


def _scores(reply: dict[str, Any]) -> list[float]:
    """Read the chance that each step is right: the last number of its pair, or itself; of ``/classify`` the chances."""
    found = reply["data"][0]
    steps = found["data"] if "data" in found else found["probs"]
    return [float(step[-1] if isinstance(step, list) else step) for step in steps]
