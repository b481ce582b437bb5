"""What a run will have taken at its end, as its rows went so far. Needs no model and no plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from sdg_prefect.counts import Counts

_ERRORS = (-2.0, 0.0, 2.0)
"""Standard errors that the least, the likely and the most are away from how it went so far."""
_NARROW = 0.2
"""A range that is narrower than this share of what is likely is told as one number."""


class Range(NamedTuple):
    """A number that is not known for sure."""

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0

    @classmethod
    def exactly(cls, number: float) -> Range:
        """Return a number that is known."""
        return cls(number, number, number)

    def text(self, write: Callable[[float], str]) -> str:
        """Write it for people: as one number where it is known well, else as two.

        Args:
            write: Writes one number, with its unit or sign.
        """
        low, high = write(self.low), write(self.high)
        if low == high or self.high - self.low <= _NARROW * self.likely:
            return f"about {write(self.likely)}"
        # Once is enough for a unit that both have.
        (value, *unit), (_, *other) = low.split(" "), high.split(" ")
        return f"{value if unit == other else low} to {high}"


@dataclass(frozen=True, slots=True)
class Sample:
    """How much rows gave or took, in parts of them."""

    size: float = 0.0
    """Rows of all parts."""
    amount: float = 0.0
    squares: float = 0.0
    """The square of each part's amount by its size: the more parts differ, the more this exceeds that of their sum."""
    parts: int = 0

    def plus(self, size: float, amount: float) -> Sample:
        """Return the sample with one more part."""
        if not size:
            return self
        return Sample(self.size + size, self.amount + amount, self.squares + amount * amount / size, self.parts + 1)

    @property
    def mean(self) -> float:
        """What one row gave or took."""
        return self.amount / self.size if self.size else 0.0

    def more(self, count: float, errors: float, by_chance: float = 0.0) -> float:
        """Say how much other rows will give or take.

        Args:
            count: How many they are.
            errors: So many standard errors more than those of the sample, for how much rows differ and how few are known.
            by_chance: How much a row differs from others (variance) before any part was seen. It counts as one part.
        """
        if not self.size:
            return 0.0
        apart = max(0.0, self.squares - self.amount * self.amount / self.size)
        spread = (apart + by_chance) / max(1, self.parts if by_chance else self.parts - 1)
        return max(0.0, self.mean * count + errors * sqrt(spread * count * (1 + count / self.size)))


@dataclass(slots=True)
class Passage:
    """What a block has done so far."""

    gave: Sample = Sample()
    """Rows that rows gave, by shards that it is done with."""
    asked: Sample = Sample()
    """Completions that rows took, of a model or of the ledger. Shards that were there from an earlier run tell nothing of it."""
    calls: int = 0
    """Calls that have ended, those of shards at work too."""
    usd: float = 0.0
    """What they cost."""
    paid: int = 0
    """Those of them that a model answered."""
    usd_squares: float = 0.0
    """The squares of what each one cost."""

    @property
    def rows_in(self) -> int:
        """Rows of the shards that it is done with."""
        return int(self.gave.size)

    @property
    def rows_out(self) -> int:
        """Rows that they gave."""
        return int(self.gave.amount)

    def add(self, counts: Counts, *, replayed: bool) -> None:
        """Add a shard that the block is done with.

        Args:
            counts: Its counts.
            replayed: True if it was there from an earlier run.
        """
        self.gave = self.gave.plus(counts.rows_in, counts.rows_out)
        if not replayed:
            self.asked = self.asked.plus(counts.rows_in, counts.llm_calls + counts.replayed)

    def add_call(self, answered: int, usd: float) -> None:
        """Add a call that has ended.

        Args:
            answered: 1 if a model answered; 0 if the ledger did, or nobody.
            usd: What it cost.
        """
        self.calls += 1
        self.paid += answered
        self.usd += usd
        self.usd_squares += usd * usd

    def rows_of(self, rest: float, errors: float) -> float:
        """Say how many rows the rest of its rows will give.

        Before more is seen, a row is taken to give its first row by chance, and the others as counts that vary as much as they
        are large (Poisson). Of rows that all went the same way one more of each is thought (Laplace), since a few are no proof
        for the others. A block that gave no row twice so far is taken to give none twice.
        """
        mean = self.gave.mean
        share = (min(1.0, mean) * self.gave.size + 1) / (self.gave.size + 2)
        found = self.gave.more(rest, errors, share * (1 - share) + max(0.0, mean - 1))
        return min(rest, found) if mean <= 1 else found


@dataclass(frozen=True, slots=True)
class Forecast:
    """What all blocks together will have taken at the end."""

    calls: Range
    usd: Range


def forecast(rows: int, blocks: Iterable[Passage]) -> Forecast | None:
    """Say what a run will have taken; None as long as some block has shown nothing of it.

    Each block is taken to go on as it went, give or take two standard errors: as many rows out and as many calls for a row, at
    the same price for a call.

    Args:
        rows: Seeds of the run.
        blocks: What each block has done, in the order of the flow.
    """
    known = list(blocks)
    low, likely, high = (_at(rows, known, errors) for errors in _ERRORS)
    if low is None or likely is None or high is None:
        return None
    return Forecast(*(Range(*numbers) for numbers in zip(low, likely, high, strict=True)))


def _at(rows: int, blocks: Sequence[Passage], errors: float) -> tuple[float, float] | None:
    """Return calls and cost if all goes so many standard errors beside how it went."""
    calls, usd, expected = 0.0, 0.0, float(rows)
    for block in blocks:
        rest = max(0.0, expected - block.rows_in)
        if rest and not block.asked.size:
            return None
        # Calls of shards at work are part of the rest.
        more = max(0.0, block.asked.amount + block.asked.more(rest, errors) - block.calls)
        calls += block.calls + more
        usd += block.usd + Sample(block.paid, block.usd, block.usd_squares, block.paid).more(more, errors)
        expected = block.rows_out + block.rows_of(rest, errors)
    return calls, usd
