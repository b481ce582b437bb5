"""Draw numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.samplers import Sampler

if TYPE_CHECKING:
    import pyarrow as pa


_MOST_EVENTS = 10_000
"""The greatest mean of a poisson distribution: its numbers are counted event by event."""
_MOST_DRAWS = 1000
"""How often a number outside of the bounds is drawn anew before it is set to the nearer one."""


Distribution = Literal["uniform", "gaussian", "exponential", "poisson"]


@block("SampleNumber")
class SampleNumber(Sampler):
    """Draw a number for each row: uniform between two bounds, gaussian, exponential or poisson.

    Bounds hold for each distribution; what falls outside is drawn anew.
    """

    example: ClassVar[Example] = Example(
        config={
            "output_col": "age",
            "distribution": "gaussian",
            "mean": 40,
            "deviation": 12,
            "low": 18,
            "high": 90,
            "whole": True,
        },
        rows=[{"name": "Ada"}, {"name": "Bo"}],
        output=[{"name": "Ada", "age": 37}, {"name": "Bo", "age": 54}],
    )

    distribution: Distribution = "uniform"
    """``uniform`` needs ``low`` and ``high``, ``gaussian`` a ``mean`` and a ``deviation``, the others a ``mean``."""
    low: float | None = None
    """The least number."""
    high: float | None = None
    """The greatest number; a whole one may be drawn itself."""
    mean: float | None = None
    """The mean, before bounds."""
    deviation: Annotated[float, Field(ge=0)] | None = None
    """The standard deviation, before bounds."""
    whole: bool = False
    """True for whole numbers, as ``poisson`` gives anyway."""
    decimals: Annotated[int, Field(ge=0, le=15)] | None = None
    """Decimals to round to."""

    @model_validator(mode="after")
    def _parameters(self) -> Self:
        needed = {"uniform": ("low", "high"), "gaussian": ("mean", "deviation")}.get(self.distribution, ("mean",))
        for name in needed:
            if getattr(self, name) is None:
                said = {"distribution": self.distribution, "name": name}
                raise PydanticCustomError("number", "the distribution '{distribution}' needs '{name}'.", said)
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PydanticCustomError("number", "'low' is above 'high'.")
        if self.distribution in ("exponential", "poisson") and (self.mean or 0) <= 0:
            raise PydanticCustomError("number", "'mean' has to be above 0.")
        if self.distribution == "poisson" and (self.mean or 0) > _MOST_EVENTS:
            raise PydanticCustomError("number", "for a 'mean' above {most} take 'gaussian' with 'whole'.", {"most": _MOST_EVENTS})
        if self.whole and self.low is not None and self.high is not None and math.ceil(self.low) > math.floor(self.high):
            raise PydanticCustomError("number", "there is no whole number between 'low' and 'high'.")
        return self

    @property
    def _is_whole(self) -> bool:
        return self.whole or self.distribution == "poisson"

    def draw(self, chance: random.Random) -> float:
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        number = self._once(chance, low, high)
        for _ in range(_MOST_DRAWS):
            if low <= number <= high:
                return number
            number = self._once(chance, low, high)
        return self._rounded(min(max(number, low), high))

    def _once(self, chance: random.Random, low: float, high: float) -> float:
        match self.distribution:
            case "uniform" if self.whole:
                return chance.randint(math.ceil(low), math.floor(high))
            case "uniform":
                number = chance.uniform(low, high)
            case "gaussian":
                number = chance.gauss(self.mean or 0, self.deviation or 0)
            case "exponential":
                number = chance.expovariate(1 / (self.mean or 1))
            case "poisson":
                number = _poisson(chance, self.mean or 1)
        return self._rounded(number)

    def _rounded(self, number: float) -> float:
        if self._is_whole:
            return round(number)
        return number if self.decimals is None else round(number, self.decimals)

    def kind(self, ways: Sequence[Self]) -> pa.DataType:
        import pyarrow as pa

        return pa.int64() if all(way._is_whole for way in ways) else pa.float64()


def _poisson(chance: random.Random, mean: float) -> int:
    """Count the events of a unit of time, of which there are ``mean`` on average, by the times between them."""
    count, time = 0, chance.expovariate(mean)
    while time < 1:
        count, time = count + 1, time + chance.expovariate(mean)
    return count
