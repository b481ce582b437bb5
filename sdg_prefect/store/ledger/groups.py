"""Groups: what comes within a moment is written together, while whoever brought it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


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
        self._gathered: list[T] = []
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._failure: Exception | None = None

    def add(self, thing: T) -> None:
        """Have a thing written with those that come within a moment.

        Raises:
            Exception: What went wrong with a group before, if nobody was told yet.
        """
        self._tell_failure()
        if not self._gathered:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._send)
        self._gathered.append(thing)
        if len(self._gathered) == self._most:
            self._send()

    @property
    def is_waiting(self) -> bool:
        """True if something is not written yet."""
        return bool(self._gathered or self._writing)

    async def flush(self) -> None:
        """Write what there is, and wait until all is written.

        Raises:
            Exception: What went wrong with a group, be it one of those before, if nobody was told yet.
        """
        while self.is_waiting:
            self._send()
            await asyncio.wait(self._writing)
        self._tell_failure()

    def _tell_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _send(self) -> None:
        if not self._gathered:
            return
        if self._in_turn and self._writing:
            self._is_due = True
            return
        if self._timer is not None:
            self._timer.cancel()
        group, self._gathered, self._is_due = self._gathered, [], False
        task = asyncio.ensure_future(self._written(group))
        self._writing.add(task)
        task.add_done_callback(self._done)

    async def _written(self, group: Sequence[T]) -> None:
        try:
            await self._write(group)
        except Exception as error:  # noqa: BLE001 - raised where the things are waited for, and for what comes next
            self._failure = error

    def _done(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        if self._is_due:
            self._send()
