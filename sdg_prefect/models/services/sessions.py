"""Sessions with a server of tools, one for each row at work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.models.failures import BROKEN_REPLY, CallError, judge

if TYPE_CHECKING:
    from mcp import Client

Work = Callable[["Client"], Awaitable[Any]]


@dataclass
class Session:
    """A session, and the task that it lives in: what opens one has to close it."""

    jobs: asyncio.Queue[tuple[Work, asyncio.Future[Any]] | None] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None
    is_closed: bool = False


class Sessions:
    """Opens sessions as rows need them, and ends those that nobody has used for a while. Lives on one event loop."""

    def __init__(self, url: str, headers: Mapping[str, str], timeout: float) -> None:
        """Prepare.

        Args:
            url: The server.
            headers: Sent with each request.
            timeout: Seconds until a call is given up, and until an idle session ends.
        """
        self._url = url
        self._headers = dict(headers)
        self._timeout = timeout
        self._open: dict[str, Session] = {}

    async def use(self, row_id: str, work: Work) -> Any:
        """Do something in the session of a row, after all that was asked for it before.

        Raises:
            CallError: The session could not be had, or broke.
            MCPError: The server says that it failed.
        """
        session = self._open.get(row_id)
        if session is None or session.is_closed:
            session = self._open[row_id] = Session()
            session.task = asyncio.create_task(self._live(row_id, session))
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.jobs.put_nowait((work, done))
        return await done

    async def close(self) -> None:
        """End all sessions."""
        tasks = [session.task for session in self._open.values() if session.task is not None]
        for session in self._open.values():
            session.jobs.put_nowait(None)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _live(self, row_id: str, session: Session) -> None:
        """Open a session, do what is asked in it, and close it."""
        pending: asyncio.Future[Any] | None = None
        failure = CallError(judge(None, "connection error"), "the session with the server of tools has ended")
        try:
            async with AsyncExitStack() as stack:
                live = await self._opened(stack)
                while job := await self._next(session):
                    work, pending = job
                    await _settle(work, live, pending)
                    pending = None
                session.is_closed = True
        except Exception as error:  # noqa: BLE001 - whatever ends a session fails what waits for it
            failure = _translated(error)
        finally:
            session.is_closed = True
            if self._open.get(row_id) is session:
                del self._open[row_id]
            waiting = [pending] if pending is not None else []
            while not session.jobs.empty():
                job = session.jobs.get_nowait()
                waiting += [job[1]] if job is not None else []
            for done in waiting:
                if not done.done():
                    done.set_exception(failure)

    async def _opened(self, stack: AsyncExitStack) -> Client:
        import httpx2
        from mcp import Client
        from mcp.client.streamable_http import streamable_http_client

        timeout = httpx2.Timeout(self._timeout)
        http = await stack.enter_async_context(httpx2.AsyncClient(headers=self._headers, timeout=timeout))
        transport = streamable_http_client(self._url, http_client=http)
        return await stack.enter_async_context(Client(transport, read_timeout_seconds=self._timeout))

    async def _next(self, session: Session) -> tuple[Work, asyncio.Future[Any]] | None:
        """Wait for something to do; None where the session is to end."""
        try:
            return await asyncio.wait_for(session.jobs.get(), self._timeout)
        except TimeoutError:
            return None


async def _settle(work: Work, live: Client, done: asyncio.Future[Any]) -> None:
    from mcp import MCPError

    try:
        result = await work(live)
    except MCPError as error:
        if not done.done():
            done.set_exception(error)
    else:
        if not done.done():
            done.set_result(result)


def _translated(error: Exception) -> CallError:
    """Find out why a session broke; the package mcp gathers exceptions in groups."""
    import httpx2

    for cause in _causes(error):
        if isinstance(cause, httpx2.HTTPStatusError):
            return CallError(judge(cause.response.status_code, ""), f"HTTP {cause.response.status_code}")
        if isinstance(cause, httpx2.TimeoutException):
            return CallError(judge(408, ""), "no reply in time")
        if isinstance(cause, httpx2.TransportError):
            return CallError(judge(None, "connection error"), f"connection error: {cause}")
    first = next(_causes(error))
    return CallError(BROKEN_REPLY, f"the session broke: {type(first).__name__}: {first}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield error
