"""Reading seeds: from files, S3, the Hugging Face Hub or memory, part by part, into one Arrow table with row ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import InputError, NoSeeds, Problem
from sdg_prefect.rows import PART_ROWS, ROW_ID, with_ids
from sdg_prefect.seed_ids import SeedIds
from sdg_prefect.spill import spilled
from sdg_prefect.store.columns import conformed
from sdg_prefect.store.delimited import delimited_rows, read_header, typed_schema
from sdg_prefect.store.docling_reader import DoclingUnfit
from sdg_prefect.store.documents import COLUMNS, PdfReading, check_readers
from sdg_prefect.store.formats import Format
from sdg_prefect.store.gathering import Gatherer, Rows
from sdg_prefect.store.hub import PREFIX, HubName, hub_columns, read_hub
from sdg_prefect.store.memory import parts_in_memory
from sdg_prefect.store.places import Found, broken_lines, find_sources, first_few, passed_over, reading
from sdg_prefect.store.readers import arrow_files, read_json_lines, read_parts

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from datasets import Dataset

_PEEKED = 100
"""JSON lines that are read to learn the columns."""
_EXACT = 2**53
"""Whole numbers up to here are the same as a decimal."""


def peek_columns(source: str, pdf: PdfReading | None = None) -> tuple[str, ...]:
    """Return the columns of seeds cheaply: of JSON lines the first hundred tell, of other files the header.

    Args:
        source: As for ``read_seeds``.
        pdf: How PDF is read; see ``read_document``.

    Raises:
        InputError: There is nothing, nothing in it, or it cannot be read, as documents are not for which nothing is installed.
    """
    with reading(source):
        found = _found(source)
        if isinstance(found, HubName):
            names = hub_columns(found)
        else:
            check_readers((file for file in found if file.format is Format.DOCUMENT), pdf)
            names = list(dict.fromkeys(name for file in found for name in _columns_of(file)))
    columns = tuple(name for name in names if name != ROW_ID)
    if not columns:
        raise _empty(source)
    return columns


def read_seeds(
    source: str,
    limit: int | None = None,
    folder: str | None = None,
    pdf: PdfReading | None = None,
    warnings: list[str] | None = None,
) -> pa.Table:
    """Read seeds into a table with the row ids first. Where they are many, it is mapped from a file.

    Args:
        source: A file, a folder or pattern of files of one kind, or an Arrow folder, each also on ``s3://``; or ``hf:name``.
        limit: Rows to read at most.
        folder: Where that file lies; see ``Spill``.
        pdf: How PDF is read; see ``read_document``.
        warnings: Gets what the user should know of documents that were read in part.

    Raises:
        InputError: There is nothing, nothing in it, or it cannot be read; every broken line and document is told.
        StoreError: The file cannot be written.
    """
    gatherer = Gatherer(folder)
    with reading(source):
        found = _found(source)
    if isinstance(found, HubName):
        gatherer.add_table(read_hub(found, limit), source)
        return _seeds(gatherer, source)
    broken, doubts = list[Problem](), list[Problem]()
    for file in found:
        left = None if limit is None else limit - gatherer.count
        if left == 0:
            break
        try:
            with reading(file.path):
                for part in read_parts(file, left, pdf):
                    _add(gatherer, part, file.path)
                    doubts += [part.doubt] if isinstance(part, Rows) and part.doubt else []
        except DoclingUnfit:
            raise
        except InputError as error:
            if file.format is not Format.DOCUMENT:
                raise
            broken += error.problems
    if broken:
        raise broken_lines(replace(found[0], path=source), broken)
    if warnings is not None:
        beside = passed_over(source, found)
        warnings += map(str, [*first_few(doubts, source), *([beside] if beside else [])])
    return _seeds(gatherer, source, as_text=found[0].format.is_delimited)


def seeds_of(
    rows: Dataset | Iterable[dict[str, Any]] | pd.DataFrame | pa.Table, limit: int | None = None, folder: str | None = None
) -> pa.Table:
    """Take seeds from memory into a table with the row ids first; see ``read_seeds``.

    Raises:
        InputError: There are no rows, or a column has values of several kinds.
        StoreError: The file cannot be written.
    """
    gatherer = Gatherer(folder)
    for part in parts_in_memory(rows, limit):
        _add(gatherer, part, "")
    return _seeds(gatherer, "")


def no_seeds() -> pa.Table:
    """Return the table of seeds that are not there."""
    import pyarrow as pa

    return pa.table({ROW_ID: pa.array([], pa.string())})


def _found(source: str) -> HubName | list[Found]:
    if not source.startswith(PREFIX):
        return find_sources(source)
    name = HubName.of(source)
    return name if name.saved is None else [name.saved]


def _add(gatherer: Gatherer, part: Rows | pa.Table, file: str) -> None:
    if isinstance(part, Rows):
        gatherer.add_rows(part)
    else:
        gatherer.add_table(part, file)


def _seeds(gatherer: Gatherer, source: str, as_text: bool = False) -> pa.Table:
    """Finish the rows: numbers of delimited files, ids."""
    import pyarrow as pa

    if not gatherer.count:
        raise _empty(source)
    with reading(source):
        table = gatherer.table()
    if not table.num_columns:
        raise InputError([Problem("has no columns." if source else "the seeds have no columns.", file=source)])
    if as_text and (schema := typed_schema(table)) != table.schema:
        table = pa.concat_tables(spilled((conformed(part, schema) for part in _parts(table)), gatherer.folder))
    ids, lengths = SeedIds(), []
    for part in _parts(table):
        rows = part.to_pylist()
        ids.add(rows if _says_itself(part) else map(_content, rows))
        lengths.append(part.num_rows)
    columns = spilled((pa.table({ROW_ID: column}) for column in ids.columns(lengths)), gatherer.folder)
    return with_ids(table, pa.concat_tables(columns).column(ROW_ID))


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """Yield a table in parts of one piece of memory each."""
    import pyarrow as pa

    for batch in table.to_batches(max_chunksize=PART_ROWS):
        yield pa.Table.from_batches([batch])


def _empty(source: str) -> NoSeeds:
    return NoSeeds([Problem("has no rows." if source else "the seeds have no rows.", file=source)])


def _says_itself(part: pa.Table) -> bool:
    """True if nothing in some rows is null, nested or a fraction."""
    import pyarrow as pa

    is_plain = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean)
    return all(not column.null_count and any(is_it(column.type) for is_it in is_plain) for column in part.columns)


def _content(value: Any) -> Any:
    """Return what a row says: absent and null are the same, so are 1 and 1.0.

    So an id does not depend on the kind of file, nor on what other rows make of the types.
    """
    if isinstance(value, dict):
        return {key: _content(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_content(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    return value


def _columns_of(found: Found) -> list[str]:
    """Return the columns of a file that has rows; none where it has not."""
    if found.format is Format.PARQUET:
        import pyarrow.parquet as pq

        with found.open() as stream:
            file = pq.ParquetFile(stream)
            return list(file.schema_arrow.names) if file.metadata.num_rows else []
    if found.format is Format.JSON_LINES:
        with found.open() as stream:
            return _keys(read_json_lines(found, stream, _PEEKED))
    if found.format is Format.DOCUMENT:
        return list(COLUMNS)
    if found.format.is_delimited:
        with found.open() as stream:
            rows = delimited_rows(found, stream)
            names = read_header(found, (row for _, row in rows))
            return names if next(rows, None) else []
    if found.format is Format.ARROW_FOLDER and not arrow_files(found):
        return []
    return _keys(read_parts(found, _PEEKED))


def _keys(parts: Iterator[Rows | pa.Table]) -> list[str]:
    names: dict[str, None] = {}
    for part in parts:
        if isinstance(part, Rows):
            names.update(dict.fromkeys(name for row in part.values for name in row))
        elif part.num_rows:
            names.update(dict.fromkeys(part.column_names))
    return list(names)
