"""Reward models behind vLLM's pooling protocol: messages in, one score per step out."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, judge

if TYPE_CHECKING:
    import aiohttp


class PoolingClient:
    """Posts to the address that the endpoint's ``api_base`` is."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: aiohttp.ClientSession | None = None

    async def complete(self, request: Request) -> Completion:
        """Make one attempt; the completion's text is a JSON list of numbers. See ``Client``."""
        import aiohttp

        started = time.perf_counter()
        body = {"model": self._endpoint.model, "messages": [dict(message) for message in request.messages or ()]}
        try:
            reply = await self._post(body)
            scores = _scores(reply)
        except aiohttp.ClientConnectionError as error:
            raise CallError(judge(None, f"connection error: {error}"), str(error)) from error
        except TimeoutError as error:
            raise CallError(judge(408, ""), f"no reply within {self._endpoint.timeout:g} s") from error
        except (aiohttp.ClientPayloadError, ValueError, KeyError, IndexError, TypeError) as error:
            raise CallError(judge(None, ""), f"not a pooling reply: {type(error).__name__}: {error}") from error
        usage = reply.get("usage") or {}
        return Completion(
            choices=(Choice(text=json.dumps(scores)),),
            model=str(reply.get("model") or self._endpoint.model),
            tokens_in=int(usage.get("prompt_tokens") or 0),
            cost_usd=0.0,
            seconds=time.perf_counter() - started,
        )

    async def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._endpoint.timeout))
        key = self._endpoint.key()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with self._session.post(self._endpoint.api_base or "", json=body, headers=headers) as response:
            if response.status >= 400:
                text = await response.text()
                raise CallError(judge(response.status, text), text[:500], _seconds(response.headers.get("Retry-After")))
            reply: dict[str, Any] = await response.json(content_type=None)
            return reply

    async def close(self) -> None:
        """Give back connections."""
        if self._session is not None:
            await self._session.close()


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.replace(".", "", 1).isdigit() else None


def _scores(reply: dict[str, Any]) -> list[float]:
    """Read the chance that each step is right: the last number of its pair, or the number itself."""
    steps = reply["data"][0]["data"]
    return [float(step[-1] if isinstance(step, list) else step) for step in steps]
