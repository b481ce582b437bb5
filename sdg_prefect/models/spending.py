"""The spending of a run, kept within its budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.budget import Budget, Spent
from sdg_prefect.models.completion import Completion
from sdg_prefect.models.failures import CallError


class Spending:
    """Keeps a run within a budget. Lives on the run's event loop.

    A call is sent only while what was spent, and what the calls in flight will cost if they cost the average of this run, stay
    below the budget. So it is exceeded at most by one call and by what the calls in flight cost above the average.
    """

    def __init__(self, budget: Budget, before: Spent, on_used_up: Callable[[], None]) -> None:
        """Begin a run.

        Args:
            budget: What may be spent.
            before: What earlier runs have spent of it.
            on_used_up: Called when a call is not sent because the budget is used up.
        """
        self.budget = budget
        self.before = before
        self.now = Spent()
        self._on_used_up = on_used_up
        self._changed = asyncio.Event()
        self._blind: str | None = None
        """The model of which nobody knows what its calls take."""

    @property
    def total(self) -> Spent:
        """What all runs have spent."""
        return self.before + self.now

    @property
    def is_used_up(self) -> bool:
        """True if nothing more may be sent."""
        return self.total.reaches(self.budget)

    def admits(self, in_flight: int) -> bool:
        """True if a call may be sent beside those in flight. Until the first is answered, that is one at a time."""
        if not self.now.calls:
            return not in_flight and not self.is_used_up
        return not (self.total + self.now.mean().times(in_flight)).reaches(self.budget)

    async def affords(self, in_flight: Callable[[], int]) -> bool:
        """Wait until the budget admits one more call; False, once it is told, if it is used up.

        Args:
            in_flight: Counts the calls in flight.

        Raises:
            EndpointError: What calls cost is not told.
        """
        self._look()
        while not self.admits(in_flight()):
            if self.is_used_up:
                self._on_used_up()
                return False
            await self._changed.wait()
            self._look()
        return True

    async def affords_some(self, wanted: int, each: Spent, in_flight: Callable[[], int]) -> int:
        """Wait until the budget admits one more call at least, and say how many; 0, once it is told, if it is used up.

        Args:
            wanted: How many are to be sent together.
            each: What one of them may cost, as long as no call of this run was answered.
            in_flight: Counts the calls in flight.

        Raises:
            EndpointError: What calls cost is not told.
        """
        while True:
            self._look()
            if self.is_used_up:
                self._on_used_up()
                return 0
            cost = self.now.mean() if self.now.calls else each
            room = (self.total + cost.times(in_flight())).room(self.budget, cost)
            if room > 0 or not in_flight():
                return min(wanted, max(1, room))
            await self._changed.wait()

    def note(self, outcome: Completion | CallError | None, metered: str | None = None) -> None:
        """Take note of how a call ended; only one with an answer has cost something.

        Args:
            outcome: How it ended.
            metered: The model, if its answers have to say how many tokens they took. One that does not counts as an average one.
        """
        if isinstance(outcome, Completion) and not outcome.replayed:
            spent = Spent(1, outcome.tokens_in + outcome.tokens_out, outcome.cost_usd or 0.0)
            if metered is not None and not spent.tokens:
                if not self.now.tokens:
                    self._blind = metered
                else:
                    spent = self.now.mean()
            self.now += spent
        self._changed.set()
        self._changed.clear()

    def _look(self) -> None:
        """Refuse to go on where a budget would never be used up."""
        if self._blind is not None:
            raise EndpointError(
                f"model '{self._blind}' does not say how many tokens its answers took, which a budget needs.",
                "Have its server report 'usage' as the OpenAI protocol has it, or run without the budget.",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the budget and what was spent of it, for the report."""
        return {
            "usd": self.budget.usd,
            "tokens": self.budget.tokens,
            "spent_usd": round(self.total.usd, 6),
            "spent_tokens": self.total.tokens,
            "spent_before_usd": round(self.before.usd, 6),
            "spent_before_tokens": self.before.tokens,
        }
