"""Rows: their ids, and the way between Hugging Face Datasets and Arrow tables.

Every row carries an id in a reserved column from the moment it is read until it is written to the output. A seed's id comes
from its content, so that reordering or adding seeds keeps the ids; a row that a block makes gets an id from its parent's.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sdg_prefect.spill import spilled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa
    from datasets import Dataset

ROW_ID = "__row_id__"
"""The reserved column that holds the row ids."""

_PLACE = "__place_"
_ID_BYTES = 12
PART_ROWS = 10_000
"""Rows that are Python values, or copied, at one time."""
_LAP = "target_rows"
"""The maker of the ids of seeds that are taken again, for more rows."""
_REPEAT = "IterBlock"
"""The maker of the ids that rows get in each round of a repetition."""


def well_formed(value: Any) -> Any:
    """Replace halves of characters in a text, or in all texts of a list or mapping: JSON can name them, no file can hold them."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {well_formed(key): well_formed(part) for key, part in value.items()}
    return [well_formed(part) for part in value] if isinstance(value, list) else value


def place_column(depth: int) -> str:
    """Return the reserved column that says where a row stood before it took a lane, which may be inside of another lane."""
    return f"{_PLACE}{depth}__"


def is_reserved(name: str) -> bool:
    """True for a column that no user wrote: the ids, and the places of rows that are in lanes."""
    return name == ROW_ID or name.startswith(_PLACE)


def child_id(parent: str, maker: str, ordinal: int) -> str:
    """Return the id of the ``ordinal``-th row that ``maker`` makes of the row ``parent``."""
    return hashlib.blake2b(f"{parent}\x1f{maker}\x1f{ordinal}".encode(), digest_size=_ID_BYTES).hexdigest()


def child_ids(parents: Sequence[str], maker: str) -> list[str]:
    """Return ids for rows listed by their parents; the rows of one parent are told apart by their order."""
    counts: Counter[str] = Counter()
    ids = []
    for parent in parents:
        ids.append(child_id(parent, maker, counts[parent]))
        counts[parent] += 1
    return ids


def to_table(rows: Dataset, folder: str | None = None) -> pa.Table:
    """Return the Arrow table behind a Dataset, with any selection applied.

    Args:
        rows: The rows.
        folder: Where the file lies that a large selection is put into; see ``Spill``.
    """
    import pyarrow as pa

    table: pa.Table = rows.data.table
    if rows._indices is None:
        return table
    places = rows._indices.column(0).to_numpy()
    if not len(places):
        return table.slice(0, 0)
    if (places[1:] < places[:-1]).any():
        flat: pa.Table = rows.flatten_indices().data.table
        return flat
    starts = range(0, len(places), PART_ROWS)
    return pa.concat_tables(spilled((_taken(table, places[start : start + PART_ROWS]) for start in starts), folder))


def _taken(table: pa.Table, places: npt.NDArray[np.uint64]) -> pa.Table:
    """Return the rows at some places, which are in order, from as little of a table as they are in."""
    import pyarrow as pa

    first, last = int(places[0]), int(places[-1])
    return table.slice(first, last - first + 1).take(pa.array(places - places[0]))


def to_dataset(table: pa.Table) -> Dataset:
    """Wrap an Arrow table as a Dataset that lives in memory and leaves no cache files."""
    from datasets import Dataset
    from datasets.fingerprint import generate_random_fingerprint

    return Dataset(table, fingerprint=generate_random_fingerprint())


def ids_of(table: pa.Table) -> list[str]:
    """Return the row ids of a table that carries them."""
    ids: list[str] = table.column(ROW_ID).to_pylist()
    return ids


def values_of(table: pa.Table, columns: Container[str]) -> list[dict[str, Any]]:
    """Return what each row has in some columns, by their names; one that is not there is left out."""
    seen = table.select([name for name in table.column_names if name in columns])
    # What a table without columns becomes is not left to the version of Arrow.
    return seen.to_pylist() if seen.num_columns else [{} for _ in range(table.num_rows)]


def without_ids(table: pa.Table) -> pa.Table:
    """Drop the reserved column, if it is there."""
    return table.drop_columns([ROW_ID]) if ROW_ID in table.column_names else table


def with_ids(table: pa.Table, ids: Sequence[str] | pa.ChunkedArray) -> pa.Table:
    """Set the row ids of a table, as its first column."""
    import pyarrow as pa

    column = ids if isinstance(ids, pa.ChunkedArray) else pa.array(ids, pa.string())
    return without_ids(table).add_column(0, pa.field(ROW_ID, pa.string()), column)


def in_round(table: pa.Table, number: int) -> pa.Table:
    """Return the same rows as the input of one round of a repetition: in each they have ids of their own."""
    return with_ids(table, [child_id(row_id, _REPEAT, number) for row_id in ids_of(table)])


def in_lap(table: pa.Table, number: int) -> pa.Table:
    """Return the same seeds as they are taken once more; the first time, 0, they have their own ids."""
    return with_ids(table, [child_id(row_id, _LAP, number) for row_id in ids_of(table)]) if number else table


def set_column(table: pa.Table, name: str, values: pa.Array | pa.ChunkedArray | Sequence[Any]) -> pa.Table:
    """Set a column in its place, or append it."""
    import pyarrow as pa

    column = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate tables whose columns may differ in type or presence; numbers widen, nulls take any type."""
    import pyarrow as pa

    full = with_rows(tables)
    return full[0] if len(full) == 1 else pa.concat_tables(full, promote_options="permissive")


def with_rows(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Leave out tables without rows, which may lack columns, unless there are no others."""
    return [table for table in tables if table.num_rows] or list(tables)
