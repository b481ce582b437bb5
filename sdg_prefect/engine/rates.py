"""How many rows and calls one row gives: by what a block says, by rows that are known already, by earlier runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.history import History
from sdg_prefect.plan.plan import Fork, Repeat, Step


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of which one knows what they gave."""

    rows: float = 0.0
    made: float = 0.0
    """What all of them gave together."""

    def __add__(self, other: Sample) -> Sample:
        return Sample(self.rows + other.rows, self.made + other.made)


def rate(samples: Sequence[Sample], bounds: Guess, count: Guess) -> Guess:
    """Guess what one of some rows gives on average.

    Args:
        samples: What others gave; the largest sample counts, since one may be a part of another.
        bounds: What is possible, and what is likely where nothing is known.
        count: The rows that are guessed about.

    Returns:
        The average of the sample, give or take two standard errors: of a share for the one that a row gives or does not, and of
        counts that vary as much as they are large (Poisson) for what it gives beyond.
    """
    sample = max(samples, key=lambda one: one.rows, default=Sample())
    if bounds.is_exact or not sample.rows:
        return bounds
    mean = sample.made / sample.rows
    # A sample in which all rows went the same way is no proof that all others do: one more of each is added (Laplace).
    share = (min(1.0, mean) * sample.rows + 1) / (sample.rows + 2)
    spread = share * (1 - share) + max(0.0, mean - 1)
    error = 2 * sqrt(spread * (1 / sample.rows + 1 / max(1.0, count.likely or count.low)))
    low, high = max(bounds.low, mean - error), mean + error
    if bounds.high is not None:
        low, mean, high = (min(bounds.high, number) for number in (low, mean, high))
    return Guess(low, max(low, mean), max(low, high))


def rows_bounds(step: Step) -> Guess:
    """Say how many rows one row of a step may give, and how many are likely before anything is known."""
    block = step.block
    likely, most = block.rows_per_row()
    is_sure = block.leaves_out == "nothing" and not step.models and likely == most
    return Guess(likely if is_sure else 0, likely, most)


def calls_bounds(step: Step) -> Guess:
    """Say how many calls one row of a step may take, and how many are likely before anything is known."""
    least, likely, most = step.block.calls_range()
    return Guess(0 if step.when else least, likely, most)


def rows_before(history: History, step: Step) -> Sample:
    """Return how many rows the rows of a step gave in the last run that had some."""
    known = history.block(step.label, "rows_in")
    return Sample(known["rows_in"], known["rows_out"]) if known else Sample()


def calls_before(history: History, step: Step) -> Sample:
    """Return how many calls the rows of a step took in the last run that asked for all of them."""
    known = history.block(step.label, "llm_calls")
    if known is None or known.get("shards_replayed"):
        return Sample()
    return Sample(known["rows_in"], known["llm_calls"] + known["replayed"])


def lanes_before(history: History, plan: Fork) -> list[Sample]:
    """Return how many of the rows went into each branch in the last run."""
    known = history.block(plan.split.label, "rows_in")
    if known is None:
        return []
    firsts = [next(branch.walk(), None) for branch in plan.branches]
    taken = [history.block(first.label, "rows_in") if first is not None else None for first in firsts]
    return [Sample(known["rows_in"], min(known["rows_in"], one["rows_in"] if one else 0)) for one in taken]


def rounds_before(history: History, plan: Repeat) -> list[Sample]:
    """Return how many rows went on to another round, of those that could, in the last run."""
    first = next(plan.body.walk(), None)
    asked, ended = (history.block(step.label, "rows_in") for step in (plan.split, plan.join))
    begun = history.block(first.label, "rows_in") if first is not None else None
    if asked is None or ended is None or begun is None:
        return []
    return [Sample(asked["rows_in"], min(asked["rows_in"], max(0, begun["rows_in"] - ended["rows_in"])))]
