"""Keep rows by a value."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.wired import Names, WiredBlock
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
        test = Comparison(self.filter_value, _OPERATIONS[self.operation], self.convert_dtype)
        return to_dataset(test.kept(to_table(rows), self.filter_column, context))


@block("ColumnValueFilterBlock")
class ColumnValueFilterBlock(WiredBlock):
    """Keep the rows whose value in a column compares well with any of the given values; nulls and NaN go.

    ``contains`` keeps rows whose value holds one of the given values, such as a part of the text; ``in`` rows whose value is in
    one of them, or is one of them. With ``convert_dtype`` the column is converted first and stays converted; what cannot be
    converted becomes null and goes. A row whose value cannot be compared, such as text with a number, is rejected.
    """

    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    family: ClassVar[str] = "Keep or leave out rows"
    example: ClassVar[Example] = Example(
        config={"input_cols": "text", "filter_value": "bee", "operation": "contains"},
        rows=[{"text": "A bee dances."}, {"text": "It rains."}],
        output=[{"text": "A bee dances."}],
    )

    input_cols: Names = Field(min_length=1)
    """The column to look at."""
    filter_value: Any
    """Value to compare with, or a list of values of which one has to fit."""
    operation: Literal["eq", "ne", "lt", "le", "gt", "ge", "contains", "in"]
    """How to compare."""
    convert_dtype: Literal["float", "int"] | None = None
    """Type to convert the column to first."""
    output_cols: Names = ()
    """Without effect: no column is made."""

    def reads(self) -> Iterable[str]:
        return self.input_cols[:1]

    def doubts(self, before: Columns) -> Iterable[str]:
        if self.operation == "ne" and isinstance(self.filter_value, list) and len(self.filter_value) > 1:
            yield "'ne' with several values keeps nearly every row: one of them always differs."
        if len(self.input_cols) > 1:
            yield f"only the first of 'input_cols' is used: '{self.input_cols[0]}'."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Compare each distinct value once, and keep the rows that have a good one."""
        test = Comparison(self.filter_value, _TESTS[self.operation], self.convert_dtype, drops_nan=True)
        return to_dataset(test.kept(to_table(rows), self.input_cols[0], context))


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison with wanted values, of which one has to fit."""

    wanted: Any
    compare: Callable[[Any, Any], bool]
    convert_dtype: Literal["float", "int"] | None
    drops_nan: bool = False

    def kept(self, table: pa.Table, name: str, context: Context) -> pa.Table:
        """Return the rows whose value in a column passes; those whose value cannot be compared are rejected."""
        import pyarrow as pa
        import pyarrow.compute as pc

        distinct, places = _distinct(table.column(name))
        values = [self._converted(value) for value in distinct]
        verdicts = [self._verdict(value) for value in values]
        if None in verdicts:
            for row, place in enumerate(places.to_pylist()):
                if place is not None and verdicts[place] is None:
                    message = f"cannot compare {values[place]!r} with {self.wanted!r}; set convert_dtype?"
                    context.reject(row, "NotComparable", message)
        if self.convert_dtype:
            kind = pa.float64() if self.convert_dtype == "float" else pa.int64()
            table = set_column(table, name, pa.array(values, kind).take(places))
        return table.filter(pc.fill_null(pa.array([bool(verdict) for verdict in verdicts], pa.bool_()).take(places), False))

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
        if value is None or (self.drops_nan and isinstance(value, float) and isnan(value)):
            return False
        wanted = self.wanted if isinstance(self.wanted, list) else [self.wanted]
        try:
            return any(self.compare(value, one) for one in wanted)
        except TypeError:
            return None


def _is_in(value: Any, wanted: Any) -> bool:
    """True if a value is in a list or a text, or is the wanted one."""
    has_parts = isinstance(wanted, (list, Mapping)) or (isinstance(wanted, str) and isinstance(value, str))
    return value in wanted if has_parts else value == wanted


_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "contains": operator.contains,
    "in": _is_in,
}


def _distinct(column: pa.ChunkedArray) -> tuple[list[Any], pa.Array]:
    """Return the distinct values of a column, and for each row the place of its value among them (null for null)."""
    import pyarrow as pa

    whole = column.combine_chunks()
    if pa.types.is_nested(whole.type) or pa.types.is_null(whole.type):
        values = whole.to_pylist()
        return values, pa.array([None if value is None else place for place, value in enumerate(values)], pa.int64())
    encoded = whole.dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices
