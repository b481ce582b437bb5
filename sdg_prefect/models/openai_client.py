"""A server that speaks the OpenAI protocol, called straight: a fraction of litellm's work for each call."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.allowances import Allowances, read_allowances
from sdg_prefect.models.completion import Completion, Request, Route
from sdg_prefect.models.connections import address, key_header, open_session, proxy_options, shown_url
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import BROKEN_REPLY, CallError, judge, readable, rest_of
from sdg_prefect.models.headers import filled
from sdg_prefect.models.openai_replies import (
    NoCompletion,
    Said,
    error_within,
    read_choices,
    read_error,
    read_json,
    request_body,
)
from sdg_prefect.models.pricing import price_of
from sdg_prefect.models.prompt_cache import mark_of
from sdg_prefect.models.providers import name_at_server
from sdg_prefect.models.usage import read_usage

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

_LONGEST_REPLY = 256 * 2**20
_LONGEST_ERROR = 2**16
_LARGE_BODY = 2**20
_MOST_HOPS = 5


class OpenAIClient:
    """Calls an endpoint over connections of its own. Lives on the event loop of its first call.

    Nothing is sent twice by itself, not even where a kept connection turns out to be closed: the server may have begun to work on
    it. Such a call fails as ``Unreachable``, and the gateway counts it as an attempt.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        base = endpoint.api_base or ""
        self._endpoint = endpoint
        self._model = name_at_server(endpoint.model)
        self._addresses: Mapping[Route, str] = {
            "chat/completions": address(base, "chat/completions"),
            "completions": address(base, "completions"),
            "embeddings": address(base, "embeddings"),
        }
        self._proxy = proxy_options(base)
        self._secrets = endpoint.secrets()
        self._price = price_of(endpoint)
        self._mark = mark_of(endpoint)
        self._headers = {"Content-Type": "application/json", **key_header(base, endpoint.key())}
        self._session: aiohttp.ClientSession | None = None

    async def complete(self, request: Request) -> Completion:
        """Make one attempt; see ``Client``."""
        started = time.perf_counter()
        headers = filled(self._params(request).get("extra_headers") or {})
        with self._translating():
            async with await self._reply("POST", self._addresses[request.route], self._body(request), headers) as response:
                reply = read_json(await read_whole(response))
                allowances = read_allowances(response.headers)
            return self._completion(reply, request.route, time.perf_counter() - started, allowances)

    def _params(self, request: Request) -> Mapping[str, Any]:
        return self._endpoint.all_params(request.params)

    def _body(self, request: Request) -> bytes:
        params = self._params(request)
        if self._mark is not None:
            request, params = self._mark.put(request, params)
        return request_body(self._model, request, params)

    def _completion(self, reply: Any, route: Route, seconds: float, allowances: Allowances | None = None) -> Completion:
        """Read a reply.

        Raises:
            CallError: It says what went wrong.
            NoCompletion: It is neither that nor a completion.
        """
        if (said := error_within(reply)) is not None:
            raise self._failed(said)
        choices = read_choices(reply, route)
        usage = read_usage(reply.get("usage"))
        return Completion(
            choices=choices,
            model=str(reply.get("model") or self._endpoint.model),
            tokens_in=usage.tokens_in,
            tokens_out=usage.tokens_out,
            tokens_cached=usage.tokens_cached,
            tokens_written=usage.tokens_written,
            cost_usd=None if self._price is None else self._price.cost(usage),
            seconds=seconds,
            allowances=allowances,
        )

    async def _reply(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, Any] | None = None, **options: Any
    ) -> aiohttp.ClientResponse:
        """Send a request and return the reply, where that is a success; it has to be closed.

        A server may send it on to another address of its own, never to another host.
        """
        if self._session is None:
            self._session = open_session(url, self._endpoint.timeout)
        sent = _merged(self._headers, headers) if headers else self._headers
        target: str | URL = url
        for _ in range(_MOST_HOPS):
            # A large body is read piece by piece while it is sent, so that the event loop goes on.
            data = io.BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body
            options |= {"data": data, "headers": sent, "allow_redirects": False, **self._proxy}
            response = await self._session.request(method, target, **options)
            if response.status < 300:
                return response
            async with response:
                onward = _same_place(response) if response.status in (307, 308) else None
                if onward is None:
                    raise await self._refused(response)
                target = onward
        raise CallError(judge(310, ""), f"the endpoint sends calls on more than {_MOST_HOPS} times")

    @contextmanager
    def _translating(self) -> Iterator[None]:
        """Turn whatever goes wrong into a CallError."""
        try:
            yield
        except CallError:
            raise
        except Exception as error:
            raise self._translated(error) from error

    async def _refused(self, response: aiohttp.ClientResponse) -> CallError:
        said = read_error(response.status, await _read(response, _LONGEST_ERROR))
        if response.status < 400:
            onward = shown_url(response.headers.get("Location", ""))
            said = Said(response.status, f"the endpoint sends calls on to {onward or 'nowhere'}")
        return self._failed(said, response.headers)

    def _failed(self, said: Said, headers: Mapping[str, str] = MappingProxyType({})) -> CallError:
        verdict = judge(said.status, f"{said.message} {said.code}")
        rest = rest_of(verdict, headers, said.message)
        return CallError(verdict, readable(said.message, self._secrets), rest, read_allowances(headers))

    def _translated(self, error: Exception) -> CallError:
        import aiohttp

        message = readable(str(getattr(error, "message", "") or error), self._secrets)
        if isinstance(error, TimeoutError):
            return CallError(judge(408, ""), f"no reply within {self._endpoint.timeout:g} s")
        if isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError | OSError):
            return CallError(judge(None, "connection error"), f"connection error: {message}")
        if isinstance(error, NoCompletion):
            return CallError(BROKEN_REPLY, f"the reply is not a completion: {message}")
        return CallError(BROKEN_REPLY, f"{type(error).__name__}: {message}")

    async def close(self) -> None:
        """Give back connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _merged(headers: Mapping[str, str], others: Mapping[str, Any]) -> Mapping[str, str]:
    """Let other headers take the place of those with the same name, however it is written."""
    replaced = {name.lower() for name in others}
    kept = {name: value for name, value in headers.items() if name.lower() not in replaced}
    return {**kept, **{name: str(value) for name, value in others.items()}}


async def read_whole(response: aiohttp.ClientResponse) -> bytes:
    """Read the body of a success.

    Raises:
        NoCompletion: It does not end.
    """
    data = await _read(response, _LONGEST_REPLY)
    if len(data) > _LONGEST_REPLY:
        raise NoCompletion(f"it is longer than {_LONGEST_REPLY >> 20} MiB")
    return data


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read the body of a reply, but not much more than so many bytes: a server gone mad must not fill the memory."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > most:
            break
    return b"".join(pieces)


def _same_place(response: aiohttp.ClientResponse) -> URL | None:
    """Return where a reply sends a call on to, if that is the same server, or the same host with encryption."""
    from yarl import URL

    try:
        here, onward = response.url, response.url.join(URL(response.headers["Location"]))
    except (KeyError, ValueError):
        return None
    is_upgrade = (here.host, here.scheme, onward.scheme) == (onward.host, "http", "https")
    return onward if is_upgrade or here.origin() == onward.origin() else None
