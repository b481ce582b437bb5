"""A share of calls: how many a run may have open at addresses that other runs call too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from sdg_prefect.models.limiter import Limiter


class Share:
    """What a run may send of what all runs together may. Lives on one event loop; someone else says how much it is."""

    def __init__(self) -> None:
        self.slots = 0
        """Calls that may be open."""
        self.open_calls = 0
        self._limiters: list[Limiter] = []

    def add(self, limiter: Limiter) -> None:
        """Let the calls of an address count."""
        self._limiters.append(limiter)

    @property
    def is_free(self) -> bool:
        """True if one more call may be sent."""
        return self.open_calls < self.slots

    @property
    def wanted(self) -> int:
        """Calls that would be open if there were no share."""
        return sum(limiter.wanted for limiter in self._limiters)

    def grant(self, slots: int) -> None:
        """Say how many calls may be open; those above are not ended, but none follows them."""
        self.slots = slots
        self.serve()

    def serve(self) -> None:
        """Let through who waits, as far as may be."""
        for limiter in self._limiters:
            limiter.serve()


class Shares(Protocol):
    """Gives a run its shares."""

    def of(self, name: str) -> Share:
        """Return the share of a limit, which begins with nothing."""
        ...
