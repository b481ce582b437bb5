"""Set a column to one value in every row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.columns import SetToMajorityValue
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.wired import Names, OneName, WiredBlock
from sdg_prefect.errors import BlockError
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("UniformColumnValueSetter")
class UniformColumnValueSetter(WiredBlock):
    """Set a column to its most frequent value, or to its least, greatest, mean or middle one, in every row.

    Nulls and NaN do not count; a column of nothing else stays as it is. Of equally frequent values the smallest is taken.
    """

    scope: ClassVar[Literal["all"]] = "all"
    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"input_cols": "score", "reduction_strategy": "max"},
        rows=[{"score": 1.0}, {"score": 4.0}],
        output=[{"score": 4.0}, {"score": 4.0}],
    )

    input_cols: OneName
    """The column."""
    output_cols: Names = ()
    """Without effect: the column is changed in its place."""
    reduction_strategy: Literal["mode", "min", "max", "mean", "median"] = "mode"
    """Which value: ``mode`` is the most frequent one, ``median`` the middle one. Mean and median need numbers."""

    def reads(self) -> Iterable[str]:
        return self.input_cols

    def writes(self) -> Iterable[str]:
        return self.input_cols

    def doubts(self, before: Columns) -> Iterable[str]:
        return ()

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Find the value and set it."""
        import pyarrow as pa

        (name,) = self.input_cols
        if self.reduction_strategy == "mode":
            return SetToMajorityValue(block_name=self.block_name, col_name=name).run(rows, context)
        table = to_table(rows)
        column = table.column(name)
        try:
            value = self._reduced(column)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            message = (
                f"block '{self.block_name}': column '{name}' is of type {column.type}, which has no {self.reduction_strategy}."
            )
            raise BlockError(message) from error
        if not value.is_valid:
            return to_dataset(table)
        return to_dataset(set_column(table, name, pa.array([value.as_py()] * table.num_rows, value.type)))

    def _reduced(self, column: pa.ChunkedArray) -> pa.Scalar:
        import pyarrow as pa
        import pyarrow.compute as pc

        counted = column.drop_null()
        if pa.types.is_floating(column.type):
            counted = counted.filter(pc.invert(pc.is_nan(counted)))
        match self.reduction_strategy:
            case "min":
                return pc.min(counted)
            case "max":
                return pc.max(counted)
            case "mean":
                return pc.mean(counted)
        return _median(counted)


def _median(column: pa.ChunkedArray) -> pa.Scalar:
    """Return the middle value, or the mean of the two in the middle."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ordered = pc.sort_indices(column)
    numbers = column.cast(pa.float64()).take(ordered)
    count = len(numbers)
    if not count:
        return pa.scalar(None, pa.float64())
    middle = numbers.slice((count - 1) // 2, 2 - count % 2)
    return pc.mean(middle)
