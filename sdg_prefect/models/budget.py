"""Budgets: what the calls of a flow may cost, and amounts that they have cost."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from pydantic import Field

from sdg_prefect.frozen import Frozen

_MANY = 10**9
"""Calls that cost nothing, as many as anyone may want."""


class Budget(Frozen):
    """What the calls of a flow may cost, all its runs on one store together."""

    usd: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """US dollars."""
    tokens: int | None = Field(default=None, ge=1)
    """Tokens of prompts and completions."""

    def __str__(self) -> str:
        limits = [f"${self.usd:,.2f}"] if self.usd is not None else []
        limits += [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        return " and ".join(limits)


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls have cost."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.calls + other.calls, self.tokens + other.tokens, self.usd + other.usd)

    def mean(self) -> Spent:
        """Return the cost of one call, the average."""
        return Spent(1, -(-self.tokens // self.calls), self.usd / self.calls)

    def times(self, calls: int) -> Spent:
        """Return the cost of so many such calls."""
        return Spent(self.calls * calls, self.tokens * calls, self.usd * calls)

    def reaches(self, budget: Budget) -> bool:
        """True if a budget is used up."""
        return (budget.usd is not None and self.usd >= budget.usd) or (budget.tokens is not None and self.tokens >= budget.tokens)

    def room(self, budget: Budget, each: Spent) -> int:
        """Say how many calls more a budget admits: each is sent before it is reached."""
        left = []
        if budget.usd is not None:
            left.append(ceil((budget.usd - self.usd) / each.usd) if each.usd else _MANY)
        if budget.tokens is not None:
            left.append(ceil((budget.tokens - self.tokens) / each.tokens) if each.tokens else _MANY)
        return max(0, min(left, default=_MANY))

    def text(self, budget: Budget) -> str:
        """Write it for people, in what a budget counts."""
        parts = [f"${self.usd:,.4f}"] if budget.usd is not None else []
        parts += [f"{self.tokens:,} tokens"] if budget.tokens is not None else []
        return " and ".join(parts)
