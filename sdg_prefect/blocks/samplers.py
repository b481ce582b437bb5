"""Fill columns with values that are drawn by chance: the same for a row whatever the shards, and however often it runs."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.columns import unquoted
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.rows import ids_of, set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Scalar = str | bool | int | float

_MOST_EVENTS = 10_000
"""The greatest mean of a poisson distribution: its numbers are counted event by event."""
_MOST_DRAWS = 1000
"""How often a number outside of the bounds is drawn anew before it is set to the nearer one."""


class Sampler(Block):
    """Draws a value for each row; subclasses say how."""

    family: ClassVar[str] = "Sample and compute values"

    output_col: str = Field(min_length=1)
    """Column that gets the value."""
    depends_on: str | None = None
    """Column on whose value it depends how is drawn."""
    cases: Mapping[Scalar, Mapping[str, Any]] = Field(default_factory=dict)
    """Value of that column to the fields that are others for it. Rows with another value are drawn by the fields here."""

    @model_validator(mode="after")
    def _cases_fit(self) -> Self:
        if bool(self.cases) != (self.depends_on is not None):
            raise PydanticCustomError("cases", "'depends_on' and 'cases' go together: give both, or none.")
        ways: list[Self] = [self]
        for value, fields in self.cases.items():
            if fixed := {"block_name", "output_col", "depends_on", "cases"} & set(fields):
                raise PydanticCustomError("cases", "the case {value} cannot change {names}.",
                                          {"value": repr(value), "names": ", ".join(sorted(fixed))})  # fmt: skip
            try:
                ways.append(self._case(fields))
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(map(str, first["loc"]))
                raise PydanticCustomError("cases", "the case {value}: {place}{said}",
                                          {"value": repr(value), "place": f"{place}: " if place else "",
                                           "said": first["msg"]}) from error  # fmt: skip
        self._check_kinds(ways)
        return self

    def _check_kinds(self, ways: Sequence[Self]) -> None:
        """Raise where what is drawn in some of the ways does not fit into one column."""

    def _case(self, fields: Mapping[str, Any]) -> Self:
        own = self.model_dump(exclude={"depends_on", "cases"}, exclude_unset=True)
        return type(self).model_validate({**own, **fields})

    def reads(self) -> Iterable[str]:
        return () if self.depends_on is None else (self.depends_on,)

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def doubts(self, before: Columns) -> Iterable[str]:
        return unquoted(self.cases, "cases")

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Draw a value for each row from the numbers that belong to it."""
        import pyarrow as pa

        table = to_table(rows)
        cases = {value: self._case(fields) for value, fields in self.cases.items()}
        choices = [None] * table.num_rows if self.depends_on is None else table.column(self.depends_on).to_pylist()
        values = []
        for row_id, choice in zip(ids_of(table), choices, strict=True):
            drawn_by = cases.get(choice, self) if isinstance(choice, (str, bool, int, float)) else self
            values.append(drawn_by.draw(context.random(row_id)))
        return to_dataset(set_column(table, self.output_col, pa.array(values, self.kind([self, *cases.values()]))))

    @abstractmethod
    def draw(self, chance: random.Random) -> Any:
        """Draw a value from a generator of random numbers that belongs to the row."""

    @abstractmethod
    def kind(self, ways: Sequence[Self]) -> pa.DataType:
        """Return the type of the column.

        Args:
            ways: This sampler and those of its cases.
        """


@block("SampleCategory")
class SampleCategory(Sampler):
    """Draw one of some values for each row, equally likely or by weights; with ``count`` a list of different ones."""

    example: ClassVar[Example] = Example(
        config={
            "output_col": "topic",
            "values": {"poetry": 3, "prose": 1},
            "depends_on": "field",
            "cases": {"science": {"values": ["physics", "biology"]}},
        },
        rows=[{"field": "science"}, {"field": "letters"}],
        output=[{"field": "science", "topic": "physics"}, {"field": "letters", "topic": "poetry"}],
    )

    values: Mapping[Scalar, Annotated[float, Field(ge=0)]] | tuple[Scalar, ...] = Field(min_length=1)
    """The values; as a mapping each with its weight."""
    count: Annotated[int, Field(ge=1)] | None = None
    """How many different values are drawn, as a list."""

    @model_validator(mode="after")
    def _enough(self) -> Self:
        likely = sum(weight > 0 for weight in self._weights().values())
        if likely < (self.count or 1):
            message = f"there are {likely} values with a weight above 0, and {self.count or 1} are to be drawn."
            raise PydanticCustomError("values", "{message}", {"message": message})
        return self

    def _weights(self) -> Mapping[Scalar, float]:
        return self.values if isinstance(self.values, Mapping) else dict.fromkeys(self.values, 1.0)

    def doubts(self, before: Columns) -> Iterable[str]:
        return [*super().doubts(before), *unquoted(self._weights(), "values")]

    def draw(self, chance: random.Random) -> Any:
        weights = self._weights()
        if self.count is None:
            (drawn,) = chance.choices(list(weights), list(weights.values()))
            return drawn
        # The largest of u ** (1 / weight) are a weighted sample without repeats (Efraimidis and Spirakis, 2006).
        ranks = {value: math.log(1 - chance.random()) / weight for value, weight in weights.items() if weight > 0}
        return sorted(ranks, key=lambda value: ranks[value], reverse=True)[: self.count]

    def _check_kinds(self, ways: Sequence[Self]) -> None:
        kinds = {type(value) for way in ways for value in way._weights()}
        if len(kinds) > 1 and kinds != {int, float}:
            raise PydanticCustomError(
                "values", "the values are of several kinds, and a column has one: quote those that are text."
            )
        if len({way.count is None for way in ways}) > 1:
            raise PydanticCustomError("values", "'count' has to be given for all cases, or for none.")

    def kind(self, ways: Sequence[Self]) -> pa.DataType:
        import pyarrow as pa

        one = pa.array([value for way in ways for value in way._weights()]).type
        return one if self.count is None else pa.list_(one)


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


def _moment(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise PydanticCustomError("moment", "not a date or time as ISO 8601 has it, such as 2024-05-31T12:00.") from error
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""A date or time as ISO 8601 writes it."""


@block("SampleDatetime")
class SampleDatetime(Sampler):
    """Draw a date or time for each row, uniform between two of them; the column holds text."""

    example: ClassVar[Example] = Example(
        config={"output_col": "born", "start": "1950-01-01", "end": "2005-12-31", "unit": "day", "format": "%Y-%m-%d"},
        rows=[{"name": "Ada"}],
        output=[{"name": "Ada", "born": "1954-03-25"}],
    )

    start: Moment
    """The first moment that may be drawn, as ISO 8601 has it; quote it in YAML."""
    end: Moment
    """The last one."""
    unit: Literal["second", "minute", "hour", "day"] = "second"
    """The step between two moments, counted from the first."""
    format: str | None = None
    """How it is written, in the letters of ``strftime``; as ISO 8601 if not given."""

    @model_validator(mode="before")
    @classmethod
    def _read_dates(cls, data: Any) -> Any:
        """YAML reads a date without quotes as a date; take it as it was meant."""
        if not isinstance(data, dict):
            return data
        return {
            key: value.isoformat() if key in ("start", "end") and hasattr(value, "isoformat") else value
            for key, value in data.items()
        }

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        try:
            steps = self._steps
        except TypeError as error:
            raise PydanticCustomError("moment", "'start' and 'end' need both a time zone, or none.") from error
        if steps < 0:
            raise PydanticCustomError("moment", "'start' is after 'end'.")
        return self

    @property
    def _step(self) -> timedelta:
        return timedelta(**{f"{self.unit}s": 1})

    @property
    def _steps(self) -> int:
        return (datetime.fromisoformat(self.end) - datetime.fromisoformat(self.start)) // self._step

    def draw(self, chance: random.Random) -> str:
        moment = datetime.fromisoformat(self.start) + self._step * chance.randint(0, self._steps)
        return moment.isoformat() if self.format is None else moment.strftime(self.format)

    def kind(self, ways: Sequence[Self]) -> pa.DataType:
        import pyarrow as pa

        return pa.string()
