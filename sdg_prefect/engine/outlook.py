"""What is known of a run before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.engine.guess import Guess
from sdg_prefect.models.budget import Budget, Spent

_NONE = Guess()
_NOT_KNOWN = (
    "How many rows one row gives, or how many calls it takes, is up to the replies in {}. None are there yet, and each is "
    "counted as one; after a preview or a run there is a range."
)
_KNOWN = (
    "How many rows and calls one row gives goes by the rows that are there, or by the last run, give or take two standard errors."
)


@dataclass
class StepOutlook:
    """What is known of a step before it runs."""

    name: str
    shards: int = 0
    """0 where that depends on the steps before."""
    shards_there: int = 0
    why: str = ""
    """Why shards are missing although the flow has run before."""
    rows: Guess = _NONE
    """Input rows of the shards that have to run."""
    replayed: int = 0
    """Calls for them that the ledger answers."""
    calls: Guess = _NONE
    """Calls for them that are to be made."""
    tokens_in: Guess = _NONE
    tokens_out: Guess = _NONE
    cost_usd: Guess | None = _NONE
    """None where a price is not known."""
    seconds: Guess = _NONE
    """Time of the calls, as many at once as the endpoint allows."""
    at_once: int = 0
    """Calls at once; 0 where they are made in batches."""
    in_batches: bool = False

    @property
    def is_exact(self) -> bool:
        """False from the first step on whose input depends on replies to come."""
        return self.rows.is_exact and self.calls.is_exact

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; each guess as ``{low, likely, high}``, null where there is nothing to go by."""
        return {
            "name": self.name,
            "shards": self.shards,
            "shards_there": self.shards_there,
            "why": self.why or None,
            "rows": _number(self.rows),
            "replayed": self.replayed,
            "calls": _number(self.calls),
            "in_batches": self.in_batches,
            "exact": self.is_exact,
            "calls_range": self.calls.to_json(),
            **_amounts(self.tokens_in, self.tokens_out, self.cost_usd, self.seconds),
        }

    def __str__(self) -> str:
        parts = [f"{self.shards_there:,} of {self.shards:,} shards are there"] if self.shards else []
        if self.why:
            parts = [f"{' '.join(parts)} ({self.why})".strip()]
        if not self.shards or self.shards_there < self.shards:
            parts.append(f"{self.rows.text()} rows to do")
        parts += [f"{self.replayed:,} replies are in the ledger"] if self.replayed else []
        parts += [f"{_counted(self.calls)}{' in batches' * self.in_batches}"] if self.calls.high != 0 else []
        return f"{self.name}: {', '.join(parts)}"


@dataclass
class Outlook:
    """What is known of a run before it starts."""

    seeds: int
    shard_size: int
    assumed: str = ""
    """Why it counts with so many seeds, in a run with a target."""
    steps: list[StepOutlook] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What the numbers rest on."""
    unknown: list[str] = field(default_factory=list)
    """Steps of which nobody knows yet how many rows or calls a row gives there; they are counted with the fewest."""
    budget: Budget | None = None
    spent: Spent = field(default_factory=Spent)
    """What earlier runs have spent of the budget."""

    @property
    def over_budget(self) -> str:
        """Say whether the estimate is above what is left of the budget; empty where it is not, or there is none."""
        if self.budget is None:
            return ""
        totals = []
        if self.budget.usd is not None and self.cost_usd is not None:
            totals.append((self.cost_usd, self.budget.usd - self.spent.usd))
        if self.budget.tokens is not None:
            totals.append((self.tokens_in + self.tokens_out, float(self.budget.tokens - self.spent.tokens)))
        if any(total.low > left for total, left in totals):
            return "the estimate is above the budget: the run will stop before its end"
        if any(total.likely is not None and total.likely > left for total, left in totals):
            return "the estimate is above the budget: the run will probably stop before its end"
        if any(total.high is None for total, _ in totals):
            return "what it takes at most is not known yet: the run may stop before its end"
        if any(total.high is not None and total.high > left for total, left in totals):
            return "the most of the estimate is above the budget: the run may stop before its end"
        return ""

    @property
    def task_runs(self) -> int:
        """Task runs of all steps, those of shards that are there included."""
        return sum(step.shards for step in self.steps)

    @property
    def calls(self) -> Guess:
        """Calls of all steps."""
        return sum((step.calls for step in self.steps), Guess())

    @property
    def tokens_in(self) -> Guess:
        """Tokens of all prompts to send."""
        return sum((step.tokens_in for step in self.steps), Guess())

    @property
    def tokens_out(self) -> Guess:
        """Tokens of all replies."""
        return sum((step.tokens_out for step in self.steps), Guess())

    @property
    def cost_usd(self) -> Guess | None:
        """Cost of all calls; None where a price is not known."""
        costs = [step.cost_usd for step in self.steps]
        return sum((cost for cost in costs if cost is not None), Guess()) if None not in costs else None

    @property
    def seconds(self) -> Guess:
        """Time that the calls take."""
        return sum((step.seconds for step in self.steps), Guess())

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "seeds": self.seeds,
            "shard_size": self.shard_size,
            "assumed": self.assumed or None,
            "task_runs": self.task_runs,
            "calls": self.calls.to_json(),
            **_amounts(self.tokens_in, self.tokens_out, self.cost_usd, self.seconds),
            "over_budget": self.over_budget or None,
            "notes": self._told(),
            "steps": [step.to_json() for step in self.steps],
        }

    def __str__(self) -> str:
        runs = f"{self.task_runs:,} task run{'s' * (self.task_runs != 1)}"
        what = f"candidates ({self.assumed})" if self.assumed else "seeds"
        lines = [f"  {self.seeds:,} {what} in shards of {self.shard_size:,}, {runs}", *(f"    {step}" for step in self.steps)]
        if self.calls.high == 0:
            return "\n".join([*lines, "  nothing is left to ask: this run makes no call"])
        lines.append(f"  to do: {_counted(self.calls)}")
        lines.append(f"    tokens in:  {self.tokens_in.text()}")
        lines.append(f"    tokens out: {self.tokens_out.text()}")
        cost = self.cost_usd
        lines.append(f"    cost:       {'not known: the model has no price' if cost is None else cost.text('${:,.4f}')}")
        lines.append(f"    time:       {self._time()}")
        if self.budget is not None:
            spent = f", of which {self.spent.text(self.budget)} are spent" if self.spent.calls else ""
            over = f"; {self.over_budget}" if self.over_budget else ""
            lines.append(f"    budget:     {self.budget}{spent}{over}")
        return "\n".join([*lines, *(f"  {note}" for note in self._told())])

    def _told(self) -> list[str]:
        """Say what the numbers rest on."""
        if self.unknown:
            names = ", ".join(dict.fromkeys(self.unknown))
            return [*self.notes, _NOT_KNOWN.format(names)]
        return [*self.notes, _KNOWN] if not all(step.is_exact for step in self.steps) else self.notes

    def _time(self) -> str:
        waiting = [step for step in self.steps if step.in_batches and step.calls.high != 0]
        if waiting:
            return f"up to a day for the batches of {', '.join(step.name for step in waiting)}, often much less"
        if self.seconds.likely is not None:
            return f"{self.seconds.text('{:,.0f} s')}, as the calls so far went"
        each = sum((step.calls.times(1 / step.at_once) for step in self.steps if step.at_once), Guess())
        return f"{each.text('{:,.1f} s')} for each second that a call takes"


def _counted(calls: Guess) -> str:
    return f"{calls.text()} call{'' if calls.text() == '1' else 's'}"


def _number(guess: Guess) -> int:
    return round(guess.low if guess.likely is None else guess.likely)


def _amounts(tokens_in: Guess, tokens_out: Guess, cost: Guess | None, seconds: Guess) -> dict[str, Any]:
    return {
        "tokens_in": tokens_in.to_json(),
        "tokens_out": tokens_out.to_json(),
        "cost_usd": None if cost is None else cost.to_json(),
        "seconds": seconds.to_json(),
    }
