"""Writing rows in each kind of file: the same rows give the same bytes, however they are cut into tables."""

from __future__ import annotations

import base64
import csv
import datetime
import gzip
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from sdg_prefect.store.arrow_folder import records
from sdg_prefect.store.formats import Format

if TYPE_CHECKING:
    import pyarrow as pa

Writer = Callable[["IO[bytes]", "Iterable[pa.Table]", "pa.Schema"], None]

_PART_ROWS = 5_000
"""Rows of a row group, and rows that are Python values at one time."""
_FILE_BYTES = 500_000_000
"""Size of one file in an Arrow folder, about."""


def write_file(kind: Format, stream: IO[bytes], tables: Iterable[pa.Table], schema: pa.Schema, compress: bool) -> int:
    """Write tables of one schema to a stream, and return the number of rows."""
    counted = _Counted(_even_parts(tables))
    if compress:
        # No name and no time in the header: they would make equal rows unequal bytes.
        with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
            _WRITERS[kind](cast("IO[bytes]", packed), counted, schema)
    else:
        _WRITERS[kind](stream, counted, schema)
    return counted.rows


@dataclass(frozen=True, slots=True)
class WrittenFolder:
    """What was written into a folder."""

    rows: int
    names: tuple[str, ...]
    """The files, in the order in which they may take the place of others: the last one names those that hold the rows."""


def write_folder(folder: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> WrittenFolder:
    """Write tables of one schema into an empty folder that ``datasets.load_from_disk`` then opens.

    The names of the data files tell their content: they stand beside those of other rows until ``state.json`` is replaced.
    """
    counted = _Counted(_even_parts(tables))
    parts = _write_arrow_files(folder, counted, schema)
    mark = _content_of(parts)
    names = [f"data-{mark}-{number:05d}-of-{len(parts):05d}.arrow" for number in range(len(parts))]
    for part, name in zip(parts, names, strict=True):
        part.rename(folder / name)
    beside = records(names, mark)
    for name, content in beside.items():
        (folder / name).write_bytes(content)
    return WrittenFolder(counted.rows, (*names, *beside))


def _write_arrow_files(folder: Path, tables: Iterable[pa.Table], schema: pa.Schema) -> list[Path]:
    """Write tables to one file after another, none much larger than it should be."""
    import pyarrow as pa

    files: list[Path] = []
    rest = iter(tables)
    while True:
        files.append(folder / f"{len(files)}.part")
        room = _FILE_BYTES
        with pa.OSFile(str(files[-1]), "wb") as stream, pa.ipc.new_stream(stream, schema) as writer:
            for table in rest:
                writer.write_table(table)
                room -= table.nbytes
                if room <= 0:
                    break
            else:
                return files


def _content_of(files: Iterable[Path]) -> str:
    """Return the hash of some files."""
    hasher = hashlib.blake2b(digest_size=8)
    for file in files:
        with open(file, "rb") as content:
            hasher.update(hashlib.file_digest(content, "blake2b").digest())
    return hasher.hexdigest()


class _Counted:
    """Tables on their way, and how many rows passed."""

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self._tables = tables
        self.rows = 0

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self._tables:
            self.rows += table.num_rows
            yield table


def _even_parts(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Cut tables anew into parts of one size, so that what is written does not depend on the shards."""
    waiting: list[pa.Table] = []
    count = 0
    for table in tables:
        rest = table
        while rest.num_rows:
            taken = rest.slice(0, _PART_ROWS - count)
            waiting.append(taken)
            count += taken.num_rows
            rest = rest.slice(taken.num_rows)
            if count == _PART_ROWS:
                yield _copied(waiting)
                waiting, count = [], 0
    if waiting:
        yield _copied(waiting)


def _copied(parts: list[pa.Table]) -> pa.Table:
    """Join parts into fresh memory: a slice carries traces of what it was cut from into Arrow files."""
    import pyarrow as pa

    joined = pa.concat_tables(parts)
    return joined.take(pa.array(range(joined.num_rows), pa.int64())).combine_chunks()


def _write_json_lines(stream: IO[bytes], tables: Iterable[pa.Table], _schema: pa.Schema) -> None:
    for table in tables:
        stream.write(b"".join(json_text(row).encode() + b"\n" for row in table.to_pylist()))


def _write_json(stream: IO[bytes], tables: Iterable[pa.Table], _schema: pa.Schema) -> None:
    before = b"["
    for table in tables:
        for row in table.to_pylist():
            stream.write(before + b"\n" + json_text(row).encode())
            before = b","
    stream.write(b"[]\n" if before == b"[" else b"\n]\n")


class _UnixLines:
    """Ends lines in a line feed; the csv module quotes both line breaks only where it ends its lines in both."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text

    def write(self, line: str) -> int:
        return self._text.write(line.removesuffix("\r\n") + "\n")


def _write_delimited(delimiter: str) -> Writer:
    def write(stream: IO[bytes], tables: Iterable[pa.Table], schema: pa.Schema) -> None:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
        writer = csv.writer(_UnixLines(text), delimiter=delimiter, lineterminator="\r\n")
        try:
            writer.writerow(schema.names)
            for table in tables:
                columns = [column.to_pylist() for column in table.columns]
                writer.writerows([_cell(value) for value in row] for row in zip(*columns, strict=True))
        finally:
            text.detach()

    return write


def _write_parquet(stream: IO[bytes], tables: Iterable[pa.Table], schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(stream, schema) as writer:
        for table in tables:
            writer.write_table(table)


_WRITERS: Mapping[Format, Writer] = {
    Format.JSON_LINES: _write_json_lines,
    Format.JSON: _write_json,
    Format.CSV: _write_delimited(","),
    Format.TSV: _write_delimited("\t"),
    Format.PARQUET: _write_parquet,
}


def json_text(value: Any) -> str:
    """Write a value as JSON for people: characters as they are, no number as null, times in ISO 8601, bytes in base64."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_plain)


def _finite(value: Any) -> Any:
    """Replace NaN and the infinities, which JSON does not have, by null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value


def _plain(value: Any) -> str:
    """Write as text what JSON has no form for."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def _cell(value: Any) -> Any:
    """Return a value as it stands in a delimited file: nested ones as JSON, null and NaN as nothing."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return json_text(value) if isinstance(value, (dict, list, tuple)) else _plain(value)
