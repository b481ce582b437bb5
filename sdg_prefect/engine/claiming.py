"""Of several runs on one store, each shard is worked on by one; the others go on with other shards until it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sdg_prefect.engine.live import Live

_LOOK_UP_EVERY = 0.5
"""Seconds after which a shard that waits for another run sees that its own is stopping."""

T = TypeVar("T")


class Claiming:
    """Claims shards for one run: it holds a claim for each shard at work, and none for the rows of a shard that waits."""

    def __init__(self, live: Live, slots: asyncio.Semaphore) -> None:
        """Begin to claim.

        Args:
            live: The run.
            slots: How many shards may be at work at once; one that waits for another run is not at work.
        """
        self._live = live
        self._slots = slots
        self._has_said = False

    async def work_on(self, key: str, is_there: Callable[[], Awaitable[bool]], work: Callable[[], Awaitable[T]]) -> T:
        """Work on a shard once no other run does.

        What is there already needs no claim, so a replay costs nothing more. If another run finishes between that look and our
        claim, Prefect finds its checkpoint all the same, for it looks again when we have the claim.

        Args:
            key: Key of the checkpoint.
            is_there: Looks whether the checkpoint is there.
            work: Makes the task run, which uses the checkpoint if it is there.
        """
        while True:
            async with self._slots:
                self._go_on()
                if await is_there():
                    return await work()
                if await self._live.claims.take(key):
                    try:
                        return await work()
                    finally:
                        await self._live.claims.give_back(key)
            await self._until_free(key)

    async def _until_free(self, key: str) -> None:
        """Wait for the run that works on the shard, as long as our own goes on."""
        if not self._has_said:
            self._has_said = True
            self._live.observer.say(
                "another run is at work on the same shards of this store; what it finishes is not done twice."
            )
        waiting = asyncio.ensure_future(self._live.claims.until_free(key))
        try:
            while not waiting.done():
                self._go_on()
                await asyncio.wait([waiting], timeout=_LOOK_UP_EVERY)
            waiting.result()
        finally:
            waiting.cancel()

    def _go_on(self) -> None:
        """Raise CancelledError if the run is to end."""
        if self._live.gateway.is_stopped:
            raise asyncio.CancelledError("the run is stopping")
