"""Waiting for several things at once, where what has begun has its price."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast

T = TypeVar("T")


async def all_ended(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all jobs and return what they return, in their order.

    When one fails, the others end what they are at; then the first failure is raised, one that is no cancellation before others.
    """
    results = await asyncio.gather(*jobs, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, asyncio.CancelledError)):
        raise failure
    return cast("list[T]", results)


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
