"""What is under way in a run: calls in flight, who waits, and what ends both."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sdg_prefect.awaiting import Valve
from sdg_prefect.models.batches.batches import Batches
from sdg_prefect.models.budget import Spent
from sdg_prefect.models.completion import Completion
from sdg_prefect.models.failures import CallError
from sdg_prefect.models.onlooker import Nobody, Onlooker
from sdg_prefect.models.spending import Spending


class Traffic:
    """Lets requests go on until the run stops or its budget is used up. Lives on the run's event loop."""

    def __init__(self, batches: Batches, spending: Spending | None, onlooker: Onlooker | None = None) -> None:
        """Begin with nothing under way.

        Args:
            batches: Those of the run, which stop with it and keep to its budget.
            spending: Keeps the calls within a budget.
            onlooker: Told about every attempt.
        """
        self.onlooker = onlooker or Nobody()
        self._batches = batches
        self._spending = spending
        self._idle: set[asyncio.Task[Any]] = set()
        """Requests that are not at the endpoint: waiting for the limiter, the endpoint, a batch, or their next attempt."""
        self.is_stopped = False
        self.flying: Counter[str] = Counter()
        """Calls that were sent and have not ended, by block."""
        self.valve = Valve()
        """Shut while nothing is to be sent for now."""
        batches.heed(lambda: bool(self.in_flight), self._afford_some)

    @property
    def in_flight(self) -> int:
        """All calls that were sent and have not ended."""
        return self.flying.total()

    def stop(self) -> None:
        """Let nothing more be sent, and end all waits."""
        self.is_stopped = True
        self.valve.open()
        self._batches.stop()
        for request in self._idle:
            request.cancel("the run is stopping")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Mark a wait that is not a call: it ends at once when the run stops, and none begins after."""
        if self.is_stopped:
            raise asyncio.CancelledError("the run is stopping")
        request = current_request()
        self._idle.add(request)
        try:
            yield
        finally:
            self._idle.discard(request)

    async def afford(self) -> None:
        """Wait until the budget admits one more call, and the run is not held.

        Raises:
            CancelledError: It is used up, and the run is stopping.
            EndpointError: What calls cost is not told.
        """
        if self._spending is not None and not await self._spending.affords(self._unanswered):
            # Not this request, which says why.
            self._idle.discard(current_request())
            self.stop()
            raise asyncio.CancelledError("the budget is used up")
        await self.valve.passed()

    async def _afford_some(self, wanted: int, each: Spent) -> int:
        """Wait until the budget admits some calls of a batch; 0 if it is used up, and the run is stopping."""
        await self.valve.passed()
        if self.is_stopped:
            return 0
        if self._spending is None:
            return wanted
        admitted = await self._spending.affords_some(wanted, each, self._unanswered)
        if not admitted:
            self.stop()
        return admitted

    def _unanswered(self) -> int:
        return self.in_flight + self._batches.at_provider

    def note(self, outcome: Completion | CallError | None, metered: str | None = None) -> None:
        """Take note of how an attempt ended; None where that is not known.

        Args:
            outcome: How it ended.
            metered: The model, if its answers have to say how many tokens they took.
        """
        if self._spending is not None:
            self._spending.note(outcome, metered)


def current_request() -> asyncio.Task[Any]:
    """Return the task that asks."""
    task = asyncio.current_task()
    assert task is not None
    return task
