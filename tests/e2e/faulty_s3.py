"""An S3 that fails now and then: moto behind a proxy that loses requests, cuts replies, asks to slow down or says nothing."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Self

import aiohttp
import s3fs
from aiohttp import web
from yarl import URL

from tests.s3 import S3Server

FAULTS = ("slow down", "internal error", "lost request", "lost reply", "cut reply", "silence")
"""What may happen to a request; after ``lost reply`` and ``cut reply`` S3 has done what it was asked for."""

_SAID = {
    "slow down": (503, "SlowDown", "Please reduce your request rate."),
    "internal error": (500, "InternalError", "Try again."),
    "access denied": (403, "AccessDenied", "Access Denied"),
}
_OF_THE_CONNECTION = {"connection", "content-length", "expect", "keep-alive", "server", "transfer-encoding"}


class FaultyS3:
    """An S3 server of a test's own; requests fail as ``fail`` says, none by default.

    A request that its client does not send to the end is not passed on, as S3 would not store it either.
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        """Faults that happened."""
        self.requests = 0
        self.in_flight = 0
        self._share = 0.0
        self._faults: tuple[str, ...] = FAULTS
        self._chance = random.Random(0)
        self._left: int | None = None
        self._behind = S3Server()
        self._ready: Future[str] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._behind.__enter__()
        self._thread.start()
        self.url = self._ready.result()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._loop is not None
        assert self._stopped is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()
        self._behind.__exit__()

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that lead a process here."""
        return {**self._behind.environment, "AWS_ENDPOINT_URL": self.url}

    @property
    def client(self) -> s3fs.S3FileSystem:
        """A client that passes the proxy by and remembers nothing."""
        return self._behind.client

    def new_bucket(self) -> str:
        """Make a bucket, and return its name, which no other has."""
        return self._behind.new_bucket()

    def fail(self, share: float, seed: int = 0, faults: tuple[str, ...] = FAULTS) -> None:
        """Let a share of the requests fail from now on."""
        self._share, self._faults, self._chance = share, faults, random.Random(seed)
        self.seen.clear()

    def end_after(self, requests: int | None) -> None:
        """Pass on so many more requests and lose all others: what S3 sees of a process that is killed. None ends that."""
        self._left = requests

    async def _serve(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        async with aiohttp.ClientSession(auto_decompress=False) as self._session:
            runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1, handle_signals=False)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=512).start()
            self._ready.set_result(f"http://127.0.0.1:{runner.addresses[0][1]}")
            await self._stopped.wait()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests += 1
        self.in_flight += 1
        try:
            return await self._answer(request)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await request.read()
        fault = self._next_fault()
        if fault:
            self.seen[fault] += 1
        if fault in _SAID:
            return _said(*_SAID[fault])
        if fault == "silence":
            await asyncio.sleep(30)
        if fault in {"lost request", "silence"}:
            return _hung_up(request)
        status, headers, content = await self._pass_on(request, body)
        if fault == "lost reply":
            return _hung_up(request)
        if fault == "cut reply":
            return await _cut(request, status, headers, content)
        return web.Response(status=status, headers=headers, body=None if request.method == "HEAD" else content)

    def _next_fault(self) -> str | None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                return "lost request"
        return self._chance.choice(self._faults) if self._chance.random() < self._share else None

    async def _pass_on(self, request: web.BaseRequest, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        kept = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        url = URL(f"{self._behind.url}{request.raw_path}", encoded=True)
        async with self._session.request(request.method, url, headers=kept, data=body, allow_redirects=False) as reply:
            content = await reply.read()
            # The reply to HEAD has no body and says how long it would be.
            dropped = _OF_THE_CONNECTION - ({"content-length"} if request.method == "HEAD" else set())
            headers = {name: value for name, value in reply.headers.items() if name.lower() not in dropped}
            return reply.status, headers, content


def _said(status: int, code: str, message: str) -> web.Response:
    text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return web.Response(status=status, text=text, content_type="application/xml")


def _hung_up(request: web.BaseRequest) -> web.Response:
    """End the connection without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut(request: web.BaseRequest, status: int, headers: Mapping[str, str], content: bytes) -> web.StreamResponse:
    """Promise the whole reply and end the connection in the middle of it."""
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = max(len(content), 1)
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    _hung_up(request)
    return response
