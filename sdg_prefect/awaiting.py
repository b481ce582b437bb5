"""Waiting for several things at once, where what has begun has its price."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar, cast

S = TypeVar("S")
T = TypeVar("T")

_FEW = 16
"""Jobs that begin in one turn of the event loop."""


async def all_ended(jobs: Sequence[Awaitable[T]]) -> list[T]:
    """Await all jobs and return what they return, in their order.

    When one fails, the others end what they are at; then the first failure is raised, one that is no cancellation before others.
    """
    results = await asyncio.gather(*jobs, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, asyncio.CancelledError)):
        raise failure
    return cast("list[T]", results)


async def few_at_a_time(items: Sequence[S], begin: Callable[[S], Coroutine[Any, Any, T]], turns: asyncio.Lock) -> list[T]:
    """Do a job for each item; see ``all_ended``. To begin many keeps nothing else waiting: calls go out and answers are taken.

    Args:
        items: What there is to do.
        begin: Does it.
        turns: Held while jobs are begun, so that of several callers one begins its jobs before the next.
    """
    begun: list[asyncio.Task[T]] = []
    try:
        async with turns:
            for first in range(0, len(items), _FEW):
                begun += [asyncio.create_task(begin(item)) for item in items[first : first + _FEW]]
                await asyncio.sleep(0)
    except asyncio.CancelledError:
        for job in begun:
            job.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        raise
    return await all_ended(begun)


class Valve:
    """Lets pass who comes, except while it is shut. Lives on one event loop."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    @property
    def is_open(self) -> bool:
        """True if nobody has to wait."""
        return self._open.is_set()

    def shut(self) -> None:
        """Let nobody pass."""
        self._open.clear()

    def open(self) -> None:
        """Let all pass who wait, and who come."""
        self._open.set()

    async def passed(self) -> None:
        """Wait until it is open."""
        await self._open.wait()
