"""Fill columns with values that are drawn by chance: the same for a row whatever the shards, and however often it runs."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import Field, ValidationError, model_validator
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
