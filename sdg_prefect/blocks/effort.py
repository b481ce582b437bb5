"""How much a template may do for one row, so that none fills the memory or goes on for hours.

Everything has a price in characters, or in what takes as long: a text its length, each thing in a list and each round of a loop
as much as a hundred, each call as much as five hundred. It is paid before it is done.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import BuiltinFunctionType, FunctionType, GeneratorType, GenericAlias, MethodType, MethodWrapperType
from typing import Any

from jinja2.exceptions import SecurityError

_MOST = 100_000_000
"""Characters that a template may handle for one row."""
_ROUND, _CALL = 100, 500
"""What a round of a loop costs, and a call."""

_NO_VALUES = (type, GenericAlias, FunctionType, BuiltinFunctionType, MethodType, MethodWrapperType)
"""What Python would write with its address in memory."""

_LEFT: ContextVar[list[int] | None] = ContextVar("left", default=None)


@contextmanager
def limited() -> Iterator[None]:
    """Give what is rendered inside as much as one template may have."""
    token = _LEFT.set([_MOST])
    try:
        yield
    finally:
        _LEFT.reset(token)


def spend(amount: int) -> None:
    """Pay for something before it is done.

    Raises:
        SecurityError: There is not so much left.
    """
    left = _LEFT.get() or [_MOST]
    left[0] -= amount
    if left[0] < 0:
        raise SecurityError("the template makes more than 100 million characters of one row, or a million rounds of a loop")


def pay_round() -> None:
    """Pay for one round of a loop, or one filter."""
    spend(_ROUND)


def pay_call() -> None:
    """Pay for one call of a macro or a method."""
    spend(_CALL)


def weigh(value: Any) -> int:
    """Pay for a value with all that is in it, as is due before it is written, compared or hashed; return its size, about."""
    if isinstance(value, str | bytes):
        spend(len(value))
        return len(value)
    if not isinstance(value, list | tuple | dict | set | frozenset):
        _see_that_it_is_one(value)
        return _ROUND
    # A list may hold another one many times over: no more is looked at than is paid for.
    weight, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        size = _ROUND
        if isinstance(one, str | bytes):
            size += len(one)
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        else:
            _see_that_it_is_one(one)
        spend(size)
        weight += size
    return weight


def weighed(value: Any) -> Any:
    """Weigh a value, and return it."""
    weigh(value)
    return value


def written(value: Any) -> Any:
    """Weigh a value that is about to be written, and return it."""
    if isinstance(value, GeneratorType):
        raise SecurityError("a filter such as 'map' makes no text: write '|list' or '|join' behind it")
    return weighed(value)


def _see_that_it_is_one(value: Any) -> None:
    if isinstance(value, _NO_VALUES):
        raise SecurityError(f"'{getattr(value, '__name__', '')}' is no value of the row; a method is called with '()'")


def counted(value: Any) -> Any:
    """Pay for looking through a value once, and return it."""
    spend(len(value) if isinstance(value, Collection) else 0)
    return value


class Rounds:
    """What a loop goes through; each round is paid for."""

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = values

    def __iter__(self) -> Iterator[Any]:
        for value in self._values:
            pay_round()
            yield value

    def __len__(self) -> int:
        return len(self._values)  # type: ignore[arg-type]


def joined(parts: Iterable[str]) -> str:
    """Join what a template writes."""

    def paid() -> Iterator[str]:
        for part in parts:
            spend(len(part))
            yield part

    return "".join(paid())
