"""Counts of rows and calls, and the law that they keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sdg_prefect.frozen import Frozen

_OF_ROWS = (
    "rows_in",
    "rows_out",
    "gave_rows",
    "skipped",
    "filtered",
    "deduplicated",
    "rejected",
    "unparsed",
    "bought_usd",
    "bought_known",
)


class Counts(Frozen):
    """What happened to the rows of a block, and what it took.

    The law: ``rows_in == gave_rows + filtered + deduplicated + rejected``.
    """

    rows_in: int = 0
    rows_out: int = 0
    gave_rows: int = 0
    """Input rows that gave at least one output row."""
    skipped: int = 0
    """Those of ``gave_rows`` that passed by, since the condition of the block does not hold for them."""
    filtered: int = 0
    deduplicated: int = 0
    rejected: int = 0
    llm_calls: int = 0
    """Completions that a model gave."""
    replayed: int = 0
    """Completions that were there from an earlier run."""
    unparsed: int = 0
    """Choices in which the parser found nothing, of rows that gave rows all the same."""
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    """Those of ``tokens_in`` that providers had in their caches."""
    tokens_written: int = 0
    """Those of ``tokens_in`` that providers wrote to their caches, where they say so."""
    cost_usd: float = 0.0
    cost_known: bool = True
    """False where some call had no known price."""
    bought_usd: float = 0.0
    """What all its completions have cost, in whichever run they were bought."""
    bought_known: bool = True

    @property
    def cached_share(self) -> float:
        """The share of all prompt tokens that providers had in their caches."""
        return self.tokens_cached / self.tokens_in if self.tokens_in else 0.0

    @property
    def is_conserved(self) -> bool:
        """True if no input row was lost or counted twice."""
        return self.rows_in == self.gave_rows + self.filtered + self.deduplicated + self.rejected

    @property
    def rows_alone(self) -> Counts:
        """What became of the rows and what they cost, without the calls that a run made for them."""
        return Counts(**self.model_dump(include=set(_OF_ROWS)))

    @property
    def without_rows(self) -> Counts:
        """The calls that a run made, without what became of the rows."""
        return Counts(**self.model_dump(exclude=set(_OF_ROWS)))

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = vars(self), vars(other)
        known = {name: mine[name] and theirs[name] for name in ("cost_known", "bought_known")}
        return Counts(**{name: mine[name] + theirs[name] for name in mine if name not in known}, **known)

    def as_replayed(self) -> Counts:
        """Return the counts of a checkpoint that is reused: the same rows, nothing paid."""
        nothing = dict.fromkeys(("llm_calls", "tokens_in", "tokens_out", "tokens_cached", "tokens_written", "cost_usd"), 0)
        return self.model_copy(update={**nothing, "replayed": self.llm_calls + self.replayed, "cost_known": True})


class Sum:
    """Counts that grow call by call: to make and add ``Counts`` for each takes longer than to read its reply."""

    def __init__(self) -> None:
        self._sums: dict[str, Any] = {}

    def add(self, part: Mapping[str, Any]) -> None:
        """Add what one call comes to.

        Args:
            part: Fields of ``Counts`` other than the default: numbers, or False.
        """
        sums = self._sums
        for name, value in part.items():
            sums[name] = False if value is False else sums.get(name, 0) + value

    @property
    def counts(self) -> Counts:
        """What it is so far."""
        return Counts(**self._sums)
