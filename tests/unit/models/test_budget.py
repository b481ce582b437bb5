"""Calls within a budget: how many are sent, and what they may cost together."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sdg_prefect.errors import EndpointError
from sdg_prefect.models.budget import Budget, Spent
from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import CallError, judge
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.models.spending import Spending
from sdg_prefect.settings import Settings
from tests.unit.models.kept import Kept


def answer(usd: float, tokens: int = 10) -> Completion:
    return Completion((Choice("yes"),), tokens_in=tokens, cost_usd=usd)


class Priced:
    """A client whose calls cost different amounts, take different times, and may fail."""

    def __init__(self, prices: list[float], failing: int = 0, tokens: int = 10) -> None:
        self.prices = prices
        self.failing = failing
        self.tokens = tokens
        self.sent: list[float] = []
        self.most_in_flight = self._in_flight = 0

    async def complete(self, request: Request) -> Completion:
        if self.failing:
            self.failing -= 1
            raise CallError(judge(500, ""), "busy")
        price = self.prices[int(request.row_id)]
        self.sent.append(price)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        for _ in range(random.Random(request.row_id).randrange(5)):
            await asyncio.sleep(0)
        self._in_flight -= 1
        return answer(price, self.tokens)

    async def close(self) -> None:
        self.prices = []


def run(client: Priced, budget: Budget, before: Spent | None = None) -> tuple[Spending, Kept, int]:
    """Ask for all calls; return what was spent, what was kept, and how often the end of the budget was told."""
    ends: list[None] = []
    spending, kept = Spending(budget, before or Spent(), lambda: ends.append(None)), Kept()

    async def ask() -> None:
        gateway = Gateway({"teacher": Endpoint(model="m")}, lambda _: client, Settings(call_backoff=0.0), spending)
        asked = [Request("teacher", str(number), prompt="?") for number in range(len(client.prices))]
        try:
            await asyncio.wait_for(gateway.complete(asked, kept, lambda _: None), 60)
        except asyncio.CancelledError:
            assert gateway.is_stopped
        assert gateway.in_flight == 0

    asyncio.run(ask())
    return spending, kept, len(ends)


def test_calls_of_one_price_exceed_the_budget_by_less_than_one() -> None:
    client = Priced([0.25] * 100)
    spending, kept, ends = run(client, Budget(usd=5.1))
    assert (len(client.sent), len(kept), ends) == (21, 21, 1)
    assert spending.total.usd == 5.25
    assert client.most_in_flight > 4


def test_a_budget_that_suffices_lets_all_calls_through() -> None:
    client = Priced([0.25] * 100)
    _, kept, ends = run(client, Budget(usd=25.0, tokens=1000))
    assert (len(kept), ends) == (100, 0)


def test_tokens_count_too() -> None:
    assert len(run(Priced([0.0] * 100), Budget(tokens=205))[1]) == 21


def test_what_earlier_runs_spent_counts() -> None:
    assert len(run(Priced([0.25] * 100), Budget(usd=5.0), Spent(16, 160, 4.0))[1]) == 4
    assert run(Priced([0.25] * 100), Budget(usd=5.0), Spent(20, 200, 5.0))[1:] == ({}, 1)


def test_a_model_that_does_not_say_what_its_calls_take_is_asked_once() -> None:
    client = Priced([0.0] * 40, tokens=0)
    with pytest.raises(EndpointError, match="model 'teacher' does not say how many tokens"):
        run(client, Budget(tokens=205))
    assert len(client.sent) == 1


def test_a_single_answer_that_does_not_say_what_it_took_counts_as_an_average_one() -> None:
    spending = Spending(Budget(tokens=100), Spent(), lambda: None)
    for tokens in (10, 30, 0):
        spending.note(answer(0.5, tokens), metered="teacher")
    assert spending.total == Spent(3, 60, 1.5)
    spending.note(answer(0.0, 0))  # what has no tokens, as an agent
    assert spending.total.tokens == 60


def test_calls_that_fail_cost_nothing_and_hold_nobody_up() -> None:
    assert len(run(Priced([0.25] * 40, failing=30), Budget(usd=5.0))[1]) == 20


@given(st.lists(st.floats(0.01, 3.0), min_size=1, max_size=40), st.floats(0.1, 20.0))
def test_the_budget_is_exceeded_by_one_call_and_what_others_cost_above_the_average_at_most(
    prices: list[float], usd: float
) -> None:
    client = Priced(prices)
    spending, kept, _ = run(client, Budget(usd=usd))
    assert len(kept) == len(client.sent)
    assert spending.total.usd == pytest.approx(sum(client.sent))
    if len(kept) < len(prices):
        assert spending.total.usd >= usd
    assert spending.total.usd < usd + client.most_in_flight * max(prices) + 1e-9


@pytest.mark.parametrize("wrong", [{"usd": 0}, {"usd": float("inf")}, {"tokens": 0}, {"dollars": 3}])
def test_a_budget_is_a_number_above_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(wrong)
