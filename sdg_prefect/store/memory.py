"""Rows that are in memory already: Datasets, DataFrames, Arrow tables, lists of objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import InputError
from sdg_prefect.rows import PART_ROWS, to_table
from sdg_prefect.store.gathering import Gatherer, Rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def parts_in_memory(rows: Any, limit: int | None) -> Iterator[Rows | pa.Table]:
    """Yield rows in parts, up to a limit.

    Raises:
        InputError: They are not rows.
    """
    import pyarrow as pa

    kind = type(rows).__module__.split(".")[0], type(rows).__name__
    if isinstance(rows, pa.Table):
        yield rows.slice(0, limit)
    elif kind == ("datasets", "Dataset"):
        yield to_table(rows).slice(0, limit)
    elif kind == ("pandas", "DataFrame"):
        yield _from_frame(rows if limit is None else rows.head(limit))
    elif isinstance(rows, Iterable) and not isinstance(rows, (str, bytes, Mapping)):
        yield from _from_objects(rows, limit)
    else:
        kinds = "a Dataset, a DataFrame, an Arrow table or a list of objects"
        raise InputError(f"seeds must be {kinds}, not {type(rows).__name__}.")


def _from_frame(frame: pd.DataFrame) -> pa.Table:
    """Turn a DataFrame into a table without its index; columns of Python objects are checked value by value."""
    import pyarrow as pa

    names = list(frame.columns)
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise InputError(f"column {wrong!r} is not text.", "Name every column of the DataFrame in words.")
    columns: list[Any] = []
    for position, name in enumerate(names):
        series = frame.iloc[:, position]
        columns.append(_from_values(name, series.tolist()) if series.dtype == object else pa.array(series, from_pandas=True))
    return pa.table(columns, names=names)


def _from_values(name: str, values: list[Any]) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    if not values:
        return pa.nulls(0)
    gatherer = Gatherer()
    numbers = range(1, len(values) + 1)
    gatherer.add_rows(Rows([{name: value} for value in values], numbers=numbers, by_line=False))
    table = gatherer.table()
    return table.column(name) if name in table.column_names else pa.nulls(len(values))


def _from_objects(rows: Iterable[Any], limit: int | None) -> Iterator[Rows]:
    remaining = islice(rows, limit)
    start = 1
    while part := list(islice(remaining, PART_ROWS)):
        for number, row in enumerate(part, start):
            if not isinstance(row, Mapping):
                raise InputError(f"row {number}: not an object but {type(row).__name__}.", "Give each row as a dict.")
        yield Rows(part, numbers=range(start, start + len(part)), by_line=False)
        start += len(part)
