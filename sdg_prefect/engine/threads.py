"""Threads for the blocks at work, which never keep the process from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """A thread for each piece of work; how many there are is for the caller to bound.

    The threads of a ``ThreadPoolExecutor`` are waited for when the interpreter ends, however long a user's block takes.
    """

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the work at once."""
        future: Future[T] = Future()
        threading.Thread(target=_work, args=(future, fn, args, kwargs), name="shard", daemon=True).start()
        return future


def _work(future: Future[Any], fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - it is handed over, not swallowed
        future.set_exception(error)
    else:
        future.set_result(result)
