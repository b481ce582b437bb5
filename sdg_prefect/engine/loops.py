"""The event loop of a run or a preview."""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sdg_prefect.loops import run_to_end

T = TypeVar("T")

_TURN = 0.0005
"""Seconds for which a thread that works on rows may keep calls from being sent and answers from being taken."""


def run_on_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end on a new event loop. Threads at work on rows leave the interpreter to it ten times as soon as they would."""
    with _short_turns():
        return run_to_end(work)


@contextmanager
def _short_turns() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
