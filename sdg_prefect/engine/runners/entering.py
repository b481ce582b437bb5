"""Context managers that block, entered and left beside an event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


@asynccontextmanager
async def entered(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter a context manager in a thread, and leave it in the same one.

    If whoever enters is cancelled meanwhile, what was begun is waited for and left: processes that it has started do not stay.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    with ThreadPoolExecutor(1, thread_name_prefix="cluster") as thread:
        entering = loop.run_in_executor(thread, context.run, manager.__enter__)
        try:
            made = await asyncio.shield(entering)
        except asyncio.CancelledError:
            await asyncio.wait([entering])
            if not entering.cancelled() and entering.exception() is None:
                await loop.run_in_executor(thread, context.run, manager.__exit__, None, None, None)
            raise
        try:
            yield made
        finally:
            await asyncio.shield(loop.run_in_executor(thread, context.run, manager.__exit__, None, None, None))
