"""What happens during a run, for whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sdg_prefect.counts import Counts


class Observer(Protocol):
    """Told about a run as it goes. Methods are called on the run's event loop or its threads and must return at once."""

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        """The blocks are about to start."""
        ...

    def grow(self, rows: int) -> None:
        """More seeds are taken, so many in all."""
        ...

    def watch_calls(self, flying: Callable[[], Mapping[str, int]]) -> None:
        """Whoever wants to know how many calls of each block are in flight may ask so, from now on."""
        ...

    def shard_started(self, block: str, rows: int) -> None:
        """A block takes up a shard."""
        ...

    def call_done(self, block: str, counted: Mapping[str, Any]) -> None:
        """A model answered, or the ledger did; what that adds to the ``Counts`` of the block, nothing if all attempts failed."""
        ...

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        """A block is done with a shard."""
        ...

    def problem(self, block: str, kind: str, what: str = "", rows: int = 0) -> None:
        """A call came to nothing, and what was said of it, or so many rows were rejected; ``kind`` is the class of error."""
        ...

    def say(self, message: str) -> None:
        """Something worth a line happened."""
        ...


class Silent:
    """An observer that looks away."""

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        """Ignore."""

    def grow(self, rows: int) -> None:
        """Ignore."""

    def watch_calls(self, flying: Callable[[], Mapping[str, int]]) -> None:
        """Ignore."""

    def shard_started(self, block: str, rows: int) -> None:
        """Ignore."""

    def call_done(self, block: str, counted: Mapping[str, Any]) -> None:
        """Ignore."""

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        """Ignore."""

    def problem(self, block: str, kind: str, what: str = "", rows: int = 0) -> None:
        """Ignore."""

    def say(self, message: str) -> None:
        """Ignore."""


class Everyone:
    """Tells several observers."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def begin(self, flow: str, blocks: Sequence[str], rows: int) -> None:
        """Pass it on."""
        for one in self._observers:
            one.begin(flow, blocks, rows)

    def grow(self, rows: int) -> None:
        """Pass it on."""
        for one in self._observers:
            one.grow(rows)

    def watch_calls(self, flying: Callable[[], Mapping[str, int]]) -> None:
        """Pass it on."""
        for one in self._observers:
            one.watch_calls(flying)

    def shard_started(self, block: str, rows: int) -> None:
        """Pass it on."""
        for one in self._observers:
            one.shard_started(block, rows)

    def call_done(self, block: str, counted: Mapping[str, Any]) -> None:
        """Pass it on."""
        for one in self._observers:
            one.call_done(block, counted)

    def shard_done(self, block: str, counts: Counts, *, replayed: bool) -> None:
        """Pass it on."""
        for one in self._observers:
            one.shard_done(block, counts, replayed=replayed)

    def problem(self, block: str, kind: str, what: str = "", rows: int = 0) -> None:
        """Pass it on."""
        for one in self._observers:
            one.problem(block, kind, what, rows)

    def say(self, message: str) -> None:
        """Pass it on."""
        for one in self._observers:
            one.say(message)
