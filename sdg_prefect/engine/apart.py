"""A run in a thread of its own, and the signals that the main thread hears for it."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from sdg_prefect.engine.loops import run_on_loop

if TYPE_CHECKING:
    from sdg_prefect.engine.stopping import Stop

T = TypeVar("T")

_LOOK = 0.2
"""Seconds between two looks at the deadline of a run that is being stopped."""


class Interruptions:
    """SIGINT and SIGTERM on their way to a run: the first stops it softly, the second at once, the third leaves it behind."""

    def __init__(self) -> None:
        self.is_apart = False
        """True once there is a run to stop; until then a signal ends what the main thread is at."""
        self._heard = 0
        self._passed_on = 0
        self._stop: Stop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_overdue(self) -> bool:
        """True if the run was stopped and does not end."""
        deadline = self._stop.deadline if self._stop else None
        return deadline is not None and time.monotonic() > deadline

    def attach(self, stop: Stop) -> None:
        """Pass on what was heard and what will be. Called on the run's event loop."""
        self._loop, self._stop = asyncio.get_running_loop(), stop
        self._pass_on()

    def hear(self, _number: int, _frame: FrameType | None) -> None:
        """Take a signal, in the main thread."""
        self._heard += 1
        if not self.is_apart or self._heard > 2:
            raise KeyboardInterrupt
        if self._loop is not None:
            with suppress(RuntimeError):  # the run has just ended
                self._loop.call_soon_threadsafe(self._pass_on)

    def _pass_on(self) -> None:
        while self._stop is not None and self._passed_on < self._heard:
            self._passed_on += 1
            self._stop.ask()


@contextmanager
def interruptions() -> Iterator[Interruptions]:
    """Hear SIGINT and SIGTERM, where this is the main thread and they are not ignored."""
    heard = Interruptions()
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, heard.hear) or signal.SIG_DFL
    try:
        yield heard
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_apart(work: Callable[[], Coroutine[Any, Any, T]], heard: Interruptions) -> T:
    """Run on an event loop of its own in a thread of its own, so that neither a notebook's loop nor a signal disturbs it.

    Raises:
        KeyboardInterrupt: The run was stopped and did not end in time; it is left behind.
        CancelledError: It was stopped.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def go() -> None:
        try:
            future.set_result(context.run(run_on_loop, work()))
        except BaseException as error:  # noqa: BLE001 - it is handed over, not swallowed
            future.set_exception(error)

    heard.is_apart = True
    threading.Thread(target=go, name="run", daemon=True).start()
    while not wait([future], timeout=_LOOK).done:
        if heard.is_overdue:
            raise KeyboardInterrupt
    return future.result()
