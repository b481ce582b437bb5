"""Counts of rows and calls, and the law that they keep."""

from __future__ import annotations

from sdg_prefect.frozen import Frozen


class Counts(Frozen):
    """What happened to the rows of a block, and what it took.

    The law: ``rows_in == gave_rows + filtered + deduplicated + rejected``.
    """

    rows_in: int = 0
    rows_out: int = 0
    gave_rows: int = 0
    """Input rows that gave at least one output row."""
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
    cost_usd: float = 0.0
    cost_known: bool = True
    """False where some call had no known price."""
    bought_usd: float = 0.0
    """What all its completions have cost, in whichever run they were bought."""
    bought_known: bool = True

    @property
    def is_conserved(self) -> bool:
        """True if no input row was lost or counted twice."""
        return self.rows_in == self.gave_rows + self.filtered + self.deduplicated + self.rejected

    def __add__(self, other: Counts) -> Counts:
        mine, theirs = self.model_dump(), other.model_dump()
        known = {name: mine[name] and theirs[name] for name in ("cost_known", "bought_known")}
        return Counts(**{name: mine[name] + theirs[name] for name in mine if name not in known}, **known)

    def as_replayed(self) -> Counts:
        """Return the counts of a checkpoint that is reused: the same rows, nothing paid."""
        update = {"llm_calls": 0, "replayed": self.llm_calls + self.replayed, "tokens_in": 0, "tokens_out": 0, "cost_usd": 0.0}
        return self.model_copy(update=update | {"cost_known": True})
