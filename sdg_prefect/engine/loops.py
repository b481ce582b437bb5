"""The event loop of a run or a preview."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

_TURN = 0.0005
"""Seconds for which a thread that works on rows may keep calls from being sent and answers from being taken."""


def run_on_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a new event loop: uvloop's, which takes less of the processor for each call, where that is installed.

    Threads at work on rows leave the interpreter to the loop ten times as soon as they would.
    """
    with _short_turns(), asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(work)


@contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # there is none for Windows
        return None
    return uvloop.new_event_loop
