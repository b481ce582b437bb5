"""A server of raw bytes: it sends what a test gives it, well-formed or not, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError

both_clients = [
    pytest.mark.parametrize("client", ["openai", "litellm"]),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),  # litellm's own types, when a reply does not fit them
]
"""Marks of tests over what the two clients have to agree on."""
CHAT = Request("teacher", "row", messages=[{"role": "user", "content": "q"}])
TEXT = Request("teacher", "row", prompt="q")
MESSAGE: dict[str, Any] = {"role": "assistant", "content": "hi"}
NEVER = None
"""Stands for no reply."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    """By name in small letters."""
    raw: bytes
    connection: int
    """Number of the connection that it came over."""

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the request."""
        read: dict[str, Any] = json.loads(self.raw)
        return read


@dataclass
class Canned:
    """Answers each request with the next of its replies; the last one is for all that follow."""

    replies: list[bytes | None]
    asked: list[Asked] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    """Connections that were open at once."""
    _connections: int = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
                raw = await reader.readexactly(int(headers.get("content-length", 0)))
                reply = self.replies[min(len(self.asked), len(self.replies) - 1)]
                self.asked.append(Asked(head[0].split()[1], headers, raw, number))
                if reply is NEVER:
                    await reader.read()
                    return
                writer.write(reply)
                await writer.drain()
                if b"Connection: close" in reply or not reply.startswith(b"HTTP"):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.open -= 1
            writer.close()

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        """Serve, and give the base URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            server.close()


def http(
    status: int = 200,
    body: Any = b"",
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
    *,
    keeps: bool = False,
) -> bytes:
    """Write a reply; a body that is neither bytes nor text is written as JSON.

    Args:
        status: HTTP status.
        body: What follows the headers.
        headers: Headers over the usual ones.
        length: What the reply says about its length, if not the truth.
        keeps: True to leave the connection open.
    """
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    usual = {
        "Content-Type": "application/json",
        "Content-Length": str(len(data) if length is None else length),
        "Connection": "keep-alive" if keeps else "close",
    }
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in {**usual, **(headers or {})}.items())]
    return "\r\n".join([*lines, "", ""]).encode() + data


def reply_of(*choices: Any, **fields: Any) -> dict[str, Any]:
    """Return a chat completion with these choices."""
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "served"}
    return {**head, "choices": list(choices), "usage": usage, **fields}


def chat(message: Mapping[str, Any] = MESSAGE, **fields: Any) -> dict[str, Any]:
    """Return a chat completion with one choice."""
    return reply_of({"index": 0, "message": message, "finish_reason": "stop", **fields})


def text(said: Any = "hi", **fields: Any) -> dict[str, Any]:
    """Return a text completion with one choice."""
    return reply_of({"index": 0, "text": said, "finish_reason": "stop", "logprobs": None, **fields}, object="text_completion")


def error(status: int, message: str, code: Any = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Write an error as OpenAI does."""
    return http(status, {"error": {"message": message, "type": None, "param": None, "code": code}}, headers)


def ask(client: str, server: Canned, request: Request = CHAT, **fields: Any) -> Completion | CallError:
    """Make one attempt with a client; returns what it raised."""

    async def call() -> Completion | CallError:
        async with server.serve() as url:
            given = {"model": "openai/m", "api_base": url, "timeout": 20, "client": client, **fields}
            caller = connect(Endpoint.model_validate(given))
            try:
                return await caller.complete(request)
            except CallError as failure:
                return failure
            finally:
                await caller.close()

    return asyncio.run(call())


def completed(client: str, reply: Any, request: Request = CHAT, **fields: Any) -> Completion:
    """Return the completion that a client makes of a reply."""
    made = ask(client, Canned([reply if isinstance(reply, bytes) else http(200, reply)]), request, **fields)
    assert isinstance(made, Completion), made
    return made


def failed(client: str, reply: bytes | None, request: Request = CHAT, **fields: Any) -> CallError:
    """Return the failure that a client makes of a reply."""
    server = Canned([reply])
    made = ask(client, server, request, **fields)
    assert isinstance(made, CallError), made
    assert len(server.asked) == 1
    return made
