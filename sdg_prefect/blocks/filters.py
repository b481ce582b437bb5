"""Keep rows by a value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_OPERATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "operator.eq": operator.eq,
    "operator.ne": operator.ne,
    "operator.lt": operator.lt,
    "operator.le": operator.le,
    "operator.gt": operator.gt,
    "operator.ge": operator.ge,
    "operator.contains": operator.eq,
}

Operation = Literal["operator.eq", "operator.ne", "operator.lt", "operator.le", "operator.gt", "operator.ge", "operator.contains"]

_INT64 = 2**63


@block("FilterByValueBlock")
class FilterByValueBlock(Block):
    """Keep the rows whose value in a column compares well with any of the given values; nulls go.

    ``operator.contains`` keeps rows whose value is one of the given values, not those that hold it as a part. With
    ``convert_dtype`` the column is converted first and stays converted; what cannot be converted becomes null and goes. A row
    whose value cannot be compared, such as text with a number, is rejected.
    """

    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    family: ClassVar[str] = "Keep or leave out rows"
    example: ClassVar[Example] = Example(
        config={"filter_column": "score", "filter_value": 4, "operation": "operator.ge", "convert_dtype": "int"},
        rows=[{"text": "Bees dance.", "score": "5"}, {"text": "Bees bee.", "score": "1"}],
        output=[{"text": "Bees dance.", "score": 5}],
    )

    filter_column: str = Field(min_length=1)
    """Column to look at."""
    filter_value: Any
    """Value to compare with, or a list of values of which one has to fit."""
    operation: Operation
    """How to compare: ``operator.eq``, ``ne``, ``lt``, ``le``, ``gt``, ``ge`` or ``contains``."""
    convert_dtype: Literal["float", "int"] | None = None
    """Type to convert the column to first."""

    def reads(self) -> Iterable[str]:
        return (self.filter_column,)

    def doubts(self, before: Columns) -> Iterable[str]:
        if self.operation == "operator.ne" and isinstance(self.filter_value, list) and len(self.filter_value) > 1:
            yield "'operator.ne' with several values keeps nearly every row: one of them always differs."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Compare each distinct value once, and keep the rows that have a good one."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = to_table(rows)
        distinct, places = _distinct(table.column(self.filter_column))
        values = [self._converted(value) for value in distinct]
        verdicts = [self._verdict(value) for value in values]
        if None in verdicts:
            for row, place in enumerate(places.to_pylist()):
                if place is not None and verdicts[place] is None:
                    message = f"cannot compare {values[place]!r} with {self.filter_value!r}; set convert_dtype?"
                    context.reject(row, "NotComparable", message)
        if self.convert_dtype:
            kind = pa.float64() if self.convert_dtype == "float" else pa.int64()
            table = set_column(table, self.filter_column, pa.array(values, kind).take(places))
        mask = pc.fill_null(pa.array([bool(verdict) for verdict in verdicts], pa.bool_()).take(places), False)
        return to_dataset(table.filter(mask))

    def _converted(self, value: Any) -> Any:
        if self.convert_dtype is None or value is None:
            return value
        try:
            converted = float(value) if self.convert_dtype == "float" else int(value)
        except (ValueError, TypeError, OverflowError):
            return None
        return converted if isinstance(converted, float) or abs(converted) < _INT64 else None

    def _verdict(self, value: Any) -> bool | None:
        """True to keep, False to filter, None where the value cannot be compared."""
        if value is None:
            return False
        wanted = self.filter_value if isinstance(self.filter_value, list) else [self.filter_value]
        compare = _OPERATIONS[self.operation]
        try:
            return any(compare(value, one) for one in wanted)
        except TypeError:
            return None


def _distinct(column: pa.ChunkedArray) -> tuple[list[Any], pa.Array]:
    """Return the distinct values of a column, and for each row the place of its value among them (null for null)."""
    import pyarrow as pa

    whole = column.combine_chunks()
    if pa.types.is_nested(whole.type) or pa.types.is_null(whole.type):
        values = whole.to_pylist()
        return values, pa.array([None if value is None else place for place, value in enumerate(values)], pa.int64())
    encoded = whole.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices
