"""Draw dates and times."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.samplers import Sampler

if TYPE_CHECKING:
    import pyarrow as pa


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
