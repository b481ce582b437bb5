"""Values that a file names and that lie elsewhere, as ``prefect:variable/NAME``. Whoever can look them up says so beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sdg_prefect.errors import FlowError

VARIABLE = "prefect:variable/"

_LOOK_UP: ContextVar[Callable[[str], Any] | None] = ContextVar("look_up", default=None)


def is_elsewhere(text: str) -> bool:
    """True for what stands for a value that lies elsewhere."""
    return text.startswith(VARIABLE)


@contextmanager
def looking_up(find: Callable[[str], Any]) -> Iterator[None]:
    """Say who looks up values while files are read.

    Args:
        find: Returns the value of a reference, or raises a FlowError.
    """
    token = _LOOK_UP.set(find)
    try:
        yield
    finally:
        _LOOK_UP.reset(token)


def look_up(reference: str) -> Any:
    """Return the value of a reference.

    Raises:
        FlowError: There is none, or nobody can look it up.
    """
    find = _LOOK_UP.get()
    if find is None:
        raise FlowError(f"'{reference}' cannot be looked up here.")
    return find(reference)
