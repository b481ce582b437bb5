"""A dataset as others read it: Parquet files by split in a folder, as the Hub lays them out and ``datasets`` streams them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.errors import FlowError, StoreError, did_you_mean
from sdg_prefect.rows import without_ids
from sdg_prefect.store.columns import conformed, unified_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_GROUP_BYTES = 8 * 1024 * 1024
"""Bytes of a row group, about: what a stream fetches and holds before its first row."""
_GROUP_ROWS = (100, 50_000)
_FILE_BYTES = 400 * 1024 * 1024
"""Bytes of rows in one file, before they are compressed."""
_SPLIT = re.compile(r"\w[\w.-]*")
_WRITTEN = re.compile(r"\w[\w.-]*-\d{5}-of-\d{5}\.parquet")
_NEARLY = 1e-6


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a dataset that was written."""

    name: str
    rows: int
    files: tuple[str, ...]
    """Below the folder."""
    size: int
    """Bytes of the files."""


def parse_splits(text: str | None) -> dict[str, float]:
    """Read shares such as ``train=0.9,test=0.1``; one split named ``train`` where nothing is given.

    Raises:
        FlowError: It is no list of shares, or they do not add up to 1.
    """
    if text is None:
        return {"train": 1.0}
    hint = "Write --split train=0.9,test=0.1; the shares add up to 1."
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            share = float(number)
        except ValueError:
            raise FlowError(f"--split: '{part.strip()}' is no split with its share.", hint) from None
        if not _SPLIT.fullmatch(name) or name in found or not 0 < share <= 1:
            raise FlowError(f"--split: '{part.strip()}' is no split with a share above 0, named once.", hint)
        found[name] = share
    if abs(sum(found.values()) - 1) > _NEARLY:
        raise FlowError(f"--split: the shares add up to {sum(found.values()):g}.", hint)
    return found


def assign(groups: npt.NDArray[np.uint64], splits: Mapping[str, float], seed: int = 0) -> npt.NDArray[np.int64]:
    """Give each row a split by its group, so that a group is never in two of them.

    The split of a group depends on its hash and the seed alone: with more rows, it stays where it is.

    Args:
        groups: For each row a hash of what it must not be parted from.
        splits: The shares, by name.
        seed: Another one gives another choice.

    Returns:
        For each row the place of its split.
    """
    import numpy as np

    bounds = np.cumsum(list(splits.values()))
    bounds[-1] = np.inf
    return np.searchsorted(bounds, _spread(groups, seed), side="right")


def _spread(hashes: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.float64]:
    """Turn hashes into numbers from 0 to 1 that have nothing to do with one another (the finish of SplitMix64)."""
    import numpy as np

    mixed = hashes + np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))).astype(np.float64) / 2.0**64


def grouping_columns(wanted: Sequence[str], columns: Sequence[str]) -> Sequence[str]:
    """Check the columns by which rows are kept together.

    Raises:
        FlowError: One is not there.
    """
    for name in wanted:
        if name not in columns:
            raise FlowError(f"--group-by: the rows have no column '{name}'.", did_you_mean(name, columns))
    return wanted


def write_dataset(
    folder: Path, tables: Sequence[pa.Table], places: Sequence[npt.NDArray[np.int64]], splits: Sequence[str]
) -> list[Split]:
    """Write rows as Parquet files by split into ``data/`` of a folder; files of splits that were there are replaced.

    Args:
        folder: The folder, which may be there.
        tables: The rows, in their order.
        places: For each table the places of its rows' splits.
        splits: Their names.

    Raises:
        StoreError: They cannot be written.
    """
    plain = [without_ids(table) for table in tables]
    schema = unified_schema([table.schema for table in plain]).remove_metadata()
    try:
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        # What has another name is no part of a dataset that was written here: somebody else needs it.
        for old in data.glob("*.parquet"):
            if _WRITTEN.fullmatch(old.name):
                old.unlink()
        return [
            _write_split(folder, name, [table.filter(at == place) for table, at in zip(plain, places, strict=True)], schema)
            for place, name in enumerate(splits)
        ]
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror or error}.") from error


def _write_split(folder: Path, name: str, tables: Sequence[pa.Table], schema: pa.Schema) -> Split:
    import pyarrow.parquet as pq

    rows = sum(table.num_rows for table in tables)
    files = []
    parts = list(_files(tables, schema))
    for number, part in enumerate(parts):
        path = f"data/{name}-{number:05d}-of-{len(parts):05d}.parquet"
        with pq.ParquetWriter(folder / path, schema, compression="zstd", write_page_index=True) as writer:
            for table in part:
                writer.write_table(table, row_group_size=_group_rows(table))
        files.append(path)
    return Split(name, rows, tuple(files), sum((folder / path).stat().st_size for path in files))


def _files(tables: Sequence[pa.Table], schema: pa.Schema) -> Iterator[list[pa.Table]]:
    """Cut rows into files of some hundred megabytes, each in tables that become row groups."""
    part: list[pa.Table] = []
    held = 0
    for table in _grouped(tables, schema):
        if part and held + table.nbytes > _FILE_BYTES:
            yield part
            part, held = [], 0
        part.append(table)
        held += table.nbytes
    # A split without rows has a file with its columns, so that whoever reads it finds it.
    yield part or [schema.empty_table()]


def _grouped(tables: Sequence[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Join small tables into some of the size of a row group: shards may be small."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    for table in tables:
        if table.num_rows:
            waiting.append(conformed(table, schema))
        if sum(one.nbytes for one in waiting) >= _GROUP_BYTES:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _group_rows(table: pa.Table) -> int:
    least, most = _GROUP_ROWS
    return int(min(most, max(least, _GROUP_BYTES * table.num_rows // max(1, table.nbytes))))
