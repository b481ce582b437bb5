"""Groups: what comes within a moment is written together, and all wait for that one write."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Group(Generic[T]):
    """Things on their way together."""

    written: asyncio.Future[None]
    things: list[T] = field(default_factory=list)


class Groups(Generic[T]):
    """Gathers things for a moment and has them written together. Lives on one event loop."""

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[None]], seconds: float, most: int | None = None, *, in_turn: bool = False
    ) -> None:
        """Prepare to gather.

        Args:
            write: Writes a group.
            seconds: Longest time that a thing waits for its group to begin, unless another one is written.
            most: Things in a group that do not wait for others any more.
            in_turn: True to write no group before the last one is written; what comes in the meantime is one group.
        """
        self._write = write
        self._seconds = seconds
        self._most = most
        self._in_turn = in_turn
        self._gathered: _Group[T] | None = None
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()

    async def written(self, thing: T) -> None:
        """Add a thing and wait until it is written; whoever is cancelled leaves it to the others."""
        loop = asyncio.get_running_loop()
        if self._gathered is None:
            self._gathered = _Group(loop.create_future())
            # Nobody waits for it if the run is interrupted.
            self._gathered.written.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._timer = loop.call_later(self._seconds, self._send)
        group = self._gathered
        group.things.append(thing)
        if len(group.things) == self._most:
            self._send()
        await asyncio.shield(group.written)

    @property
    def is_waiting(self) -> bool:
        """True if something is not written yet."""
        return self._gathered is not None or bool(self._writing)

    async def flush(self) -> None:
        """Write what there is, and wait for it."""
        while self.is_waiting:
            self._send()
            await asyncio.gather(*self._writing)

    def _send(self) -> None:
        if self._gathered is None:
            return
        if self._in_turn and self._writing:
            self._is_due = True
            return
        if self._timer is not None:
            self._timer.cancel()
        group, self._gathered, self._is_due = self._gathered, None, False
        self._writing.add(asyncio.create_task(self._written(group)))

    async def _written(self, group: _Group[T]) -> None:
        try:
            await self._write(group.things)
        except Exception as error:  # noqa: BLE001 - raised where the things are waited for
            group.written.set_exception(error)
        else:
            group.written.set_result(None)
        task = asyncio.current_task()
        assert task is not None
        self._writing.discard(task)
        if self._is_due:
            self._send()
