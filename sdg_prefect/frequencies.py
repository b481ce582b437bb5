"""How often each thing was seen: counts by trait and value, which add up over shards and runs, and stay small."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

Seen = Mapping[str, Mapping[str, int]]
"""Amounts by trait and value, as JSON has them: ``{"finish_reason": {"stop": 40, "length": 2}}``."""
Sighting = tuple[str, str, int]
"""A trait, its value, and how much is added to it."""

_MOST_VALUES = 64
_MOST_BUCKETS = 2000
_LONGEST_VALUE = 200
OTHERS = "others"
"""Stands for the values of a trait beyond the first 64: what a server calls itself, say, is not ours to bound."""

WARNING = "warning"
"""The trait whose values are what blocks warn of."""

_GAMMA = 1.1
_LOG_GAMMA = math.log(_GAMMA)
_ZERO = "zero"


class Frequencies(defaultdict[str, Counter[str]]):
    """Counts that are being gathered."""

    def __init__(self) -> None:
        super().__init__(Counter)

    def note(self, sightings: Iterable[Sighting]) -> None:
        """Add what was seen once."""
        for trait, value, amount in sightings:
            self._add(trait, value, amount)

    def add(self, seen: Seen) -> None:
        """Add what was seen elsewhere."""
        for trait, amounts in seen.items():
            for value, amount in amounts.items():
                self._add(trait, value, amount)

    def _add(self, trait: str, value: str, amount: int) -> None:
        amounts = self[trait]
        if value not in amounts and len(amounts) >= (_MOST_BUCKETS if is_bucket(value) else _MOST_VALUES):
            value = OTHERS
        amounts[value[:_LONGEST_VALUE]] += amount

    def to_json(self) -> dict[str, dict[str, int]]:
        """Return the counts as a JSON object, the most frequent values first."""
        return {trait: dict(amounts.most_common()) for trait, amounts in sorted(self.items()) if amounts}


def bucket(number: float) -> str:
    """Return the bucket of a number that is not negative; numbers in one bucket differ by a tenth at most.

    The mapping is that of DDSketch (Masson, Rim, Lee: DDSketch, VLDB 2019), whose sketches add up without loss.
    """
    return f"~{math.ceil(math.log(number) / _LOG_GAMMA)}" if number > 0 else f"~{_ZERO}"


def is_bucket(value: str) -> bool:
    """True for what ``bucket`` returns. There are never more than a few hundred of them."""
    return value.startswith("~") and (value[1:] == _ZERO or value[1:].lstrip("-").isdigit())


@dataclass(frozen=True, slots=True)
class Bin:
    """A bar of a histogram."""

    low: float
    high: float
    count: int


class Histogram:
    """Numbers as they were put into buckets."""

    def __init__(self, amounts: Mapping[str, int]) -> None:
        found = ((_exponent(value), amount) for value, amount in amounts.items() if is_bucket(value) and amount > 0)
        self._counts = sorted(found)

    @property
    def total(self) -> int:
        """How many numbers there are."""
        return sum(count for _, count in self._counts)

    def quantile(self, share: float) -> float | None:
        """Return the number below which a share of all lies, to within 5 %; None where there are none."""
        left = share * max(0, self.total - 1)
        for exponent, count in self._counts:
            left -= count
            if left < 0:
                return _middle(exponent)
        return _middle(self._counts[-1][0]) if self._counts else None

    def bins(self, most: int = 24) -> list[Bin]:
        """Return at most so many bars of equal width on a logarithmic scale, from the least number to the greatest."""
        positive = [(exponent, count) for exponent, count in self._counts if exponent != -math.inf]
        zeros = sum(count for exponent, count in self._counts if exponent == -math.inf)
        found = [Bin(0.0, 0.0, zeros)] if zeros else []
        if positive:
            first, last = int(positive[0][0]), int(positive[-1][0])
            width = max(1, math.ceil((last - first + 1) / most))
            counts: Counter[int] = Counter()
            for exponent, count in positive:
                counts[(int(exponent) - first) // width] += count
            for place in range((last - first) // width + 1):
                low = first + place * width
                found.append(Bin(_GAMMA ** (low - 1), _GAMMA ** (low + width - 1), counts[place]))
        return found

    def shares(self, step: int = 8) -> dict[str, float]:
        """Return the share of numbers in coarse buckets, each of which spans a factor of about two; for comparisons."""
        total = self.total or 1
        coarse: Counter[str] = Counter()
        for exponent, count in self._counts:
            coarse[_ZERO if exponent == -math.inf else str(math.floor(exponent / step))] += count
        return {name: count / total for name, count in coarse.items()}


def distance(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Return how far two distributions are apart, from 0 to 1: half of what their shares differ in all (total variation)."""
    return sum(abs(one.get(name, 0.0) - other.get(name, 0.0)) for name in {**one, **other}) / 2


def shares_of(amounts: Mapping[str, int]) -> dict[str, float]:
    """Return amounts as shares of their sum."""
    total = sum(amounts.values())
    return {value: amount / total for value, amount in amounts.items()} if total else {}


def _exponent(value: str) -> float:
    return -math.inf if value[1:] == _ZERO else int(value[1:])


def _middle(exponent: float) -> float:
    """Return the number that no number of its bucket is further from than 5 %."""
    return 0.0 if exponent == -math.inf else 2 * _GAMMA**exponent / (_GAMMA + 1)


def by_amount(amounts: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Yield values with their amounts, the greatest first."""
    yield from sorted(amounts.items(), key=lambda item: (-item[1], item[0]))
