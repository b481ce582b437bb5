"""Numbers that are not known for sure: the least, the likely, the most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev


@dataclass(frozen=True, slots=True)
class Guess:
    """A number between bounds."""

    low: float = 0.0
    likely: float | None = 0.0
    """None where nothing speaks for any number between the bounds."""
    high: float | None = 0.0
    """None where there is no bound."""

    @classmethod
    def exactly(cls, number: float) -> Guess:
        """Return a number that is known."""
        return cls(number, number, number)

    @classmethod
    def of_sum(cls, sample: Sequence[float], count: float) -> Guess:
        """Guess the sum of ``count`` numbers of which a sample is known.

        The bounds are two standard errors of the prediction wide, for the spread of the numbers and the smallness of the sample.
        """
        mean = fmean(sample)
        spread = stdev(sample) if len(sample) > 1 else mean
        error = 2 * spread * math.sqrt(count + count * count / len(sample))
        return cls(max(0.0, count * mean - error), count * mean, count * mean + error)

    @property
    def is_exact(self) -> bool:
        """True if the number is known."""
        return self.low == self.high

    def __add__(self, other: Guess) -> Guess:
        return Guess(self.low + other.low, _sum(self.likely, other.likely), _sum(self.high, other.high))

    def times(self, factor: Guess | float) -> Guess:
        """Multiply by a number that is not negative."""
        by = factor if isinstance(factor, Guess) else Guess.exactly(factor)
        return Guess(self.low * by.low, _product(self.likely, by.likely), _product(self.high, by.high))

    def at_most(self, fold: float) -> Guess:
        """Return the same number with a share of its upper bound, but not below what is likely."""
        return replace(self, high=None if self.high is None else max(self.high * fold, self.likely or self.low))

    def to_json(self) -> dict[str, float | None]:
        """Return the three numbers, rounded to six places."""
        return {
            name: None if value is None else round(value, 6)
            for name, value in (("low", self.low), ("likely", self.likely), ("high", self.high))
        }

    def text(self, pattern: str = "{:,.0f}") -> str:
        """Write it for people.

        Args:
            pattern: How one number is written.
        """
        if self.is_exact:
            return pattern.format(self.low)
        if self.likely is None and self.high is not None:
            return f"at most {pattern.format(self.high)}"
        if self.likely is None:
            return f"at least {pattern.format(self.low)}" if self.low else "not known yet"
        likely, low = pattern.format(self.likely), pattern.format(self.low)
        if self.high is None:
            return f"{likely} or more" if self.low >= self.likely else f"about {likely} or more"
        high = pattern.format(self.high)
        return likely if low == high else f"about {likely} ({low} to {high})"


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _product(one: float | None, other: float | None) -> float | None:
    if one == 0 or other == 0:
        return 0.0
    return None if one is None or other is None else one * other
