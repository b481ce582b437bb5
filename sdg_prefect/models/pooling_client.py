"""Reward models behind vLLM's pooling protocol: messages in, one score per step out."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.connections import key_header, open_session, proxy_options
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, judge, readable, seconds_to_wait

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
        url = self._endpoint.api_base or ""
        if self._session is None:
            self._session = open_session(url, self._endpoint.timeout)
        key = self._endpoint.key()
        headers = key_header(url, key)
        async with self._session.post(url, json=body, headers=headers, allow_redirects=False, **proxy_options(url)) as response:
            if response.status >= 300:
                text = await response.text()
                waits = seconds_to_wait(response.headers.get("Retry-After"))
                raise CallError(judge(response.status, text), readable(text, key), waits)
            reply: dict[str, Any] = await response.json(content_type=None)
            return reply

    async def close(self) -> None:
        """Give back connections."""
        if self._session is not None:
            await self._session.close()


def _scores(reply: dict[str, Any]) -> list[float]:
    """Read the chance that each step is right: the last number of its pair, or itself; of ``/classify`` the chances."""
    found = reply["data"][0]
    steps = found["data"] if "data" in found else found["probs"]
    return [float(step[-1] if isinstance(step, list) else step) for step in steps]
