"""Reading one file or folder of rows, part by part, as it is: nothing that looks like a date or number is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any

from sdg_prefect.errors import Problem
from sdg_prefect.rows import PART_ROWS
from sdg_prefect.store.delimited import read_delimited
from sdg_prefect.store.documents import PdfReading, read_document
from sdg_prefect.store.formats import Format
from sdg_prefect.store.gathering import Rows
from sdg_prefect.store.places import BOM, UTF8, Found, LocalDisk, broken_lines, lowered

if TYPE_CHECKING:
    import pyarrow as pa

_BUFFER_BYTES = 1 << 20
"""Bytes of each column of a Parquet file that are read at one time."""
_OBJECT = 'Write one JSON object on each line, such as {"question": "Why?"}.'


def read_parts(found: Found, limit: int | None = None, pdf: PdfReading | None = None) -> Iterator[Rows | pa.Table]:
    """Yield the rows of a file or folder in parts, up to a limit.

    Args:
        found: The file or folder.
        limit: Rows to read at most.
        pdf: How PDF is read; see ``read_document``.

    Raises:
        InputError: The file is not what its name says; every broken line is told.
    """
    if found.format is Format.JSON_LINES:
        with found.open() as stream:
            yield from read_json_lines(found, stream, limit)
    elif found.format is Format.JSON:
        yield from _read_json(found, limit)
    elif found.format.is_delimited:
        with found.open() as stream:
            yield from read_delimited(found, stream, limit)
    elif found.format is Format.DOCUMENT:
        yield read_document(found, pdf)
    elif found.format is Format.PARQUET:
        yield from _limited(_read_parquet(found), limit)
    elif found.format is Format.ARROW_FILE:
        yield from _limited(iter([_read_arrow(found, found.path)]), limit)
    else:
        yield from _limited((_read_arrow(found, path) for path in arrow_files(found)), limit)


def read_json_lines(found: Found, lines: IO[bytes], limit: int | None = None) -> Iterator[Rows]:
    """Yield the objects of a JSON lines file; blank lines are passed over."""
    broken: list[Problem] = []
    values: list[dict[str, Any]] = []
    numbers: list[int] = []
    count = 0
    for number, line in enumerate(lines, start=1):
        text = (line.removeprefix(BOM) if number == 1 else line).rstrip()
        if not text:
            continue
        value = _parsed_line(text)
        if isinstance(value, tuple):
            if not count and not broken and text.lstrip().startswith(b"["):
                raise found.problem("starts a JSON list, not JSON lines.", "Name the file .json, or write one object a line.")
            broken.append(Problem(*value, found.path, number))
            continue
        values.append(value)
        numbers.append(number)
        count += 1
        if len(values) == PART_ROWS:
            if not broken:
                yield Rows(values, found.path, numbers)
            values, numbers = [], []
        if count == limit:
            break
    if broken:
        raise broken_lines(found, broken)
    if values:
        yield Rows(values, found.path, numbers)


def _parsed_line(text: bytes) -> dict[str, Any] | tuple[str, str]:
    """Return the object of a line, or what is wrong with it and what to do."""
    try:
        value = json.loads(text.decode())
    except UnicodeDecodeError:
        return "not UTF-8 text.", UTF8
    except json.JSONDecodeError as error:
        return f"not valid JSON: {lowered(error.msg)} (column {error.colno}).", _OBJECT
    except (ValueError, RecursionError) as error:
        return f"not valid JSON: {lowered(str(error))}.", _OBJECT
    return value if isinstance(value, dict) else (f"not an object but {_name_of(value)}.", _OBJECT)


def _read_json(found: Found, limit: int | None) -> Iterator[Rows]:
    with found.open() as stream:
        content = stream.read()
    try:
        whole = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise found.problem("not UTF-8 text.", UTF8, content.count(b"\n", 0, error.start) + 1) from error
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and content.removeprefix(BOM).lstrip().startswith(b"{"):
            with found.open() as stream:
                yield from read_json_lines(found, stream, limit)
            return
        if not content.strip():
            return
        raise found.problem(f"not valid JSON: {lowered(error.msg)} (column {error.colno}).", line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise found.problem(f"not valid JSON: {lowered(str(error))}.") from error
    if not isinstance(whole, list):
        raise found.problem(f"holds {_name_of(whole)}, not a list of objects.", "Put the rows between [ and ].")
    rows = whole[:limit]
    wrong = [(number, value) for number, value in enumerate(rows, start=1) if not isinstance(value, dict)]
    if wrong:
        raise broken_lines(
            found,
            [Problem(f"row {number}: not an object but {_name_of(value)}.", "", found.path) for number, value in wrong],
        )
    for start in range(0, len(rows), PART_ROWS):
        part = rows[start : start + PART_ROWS]
        yield Rows(part, found.path, range(start + 1, start + len(part) + 1), by_line=False)


def _read_parquet(found: Found) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with found.open() as stream:
        # Requests to S3 have to be few and large; from a disk a row group, which may be the whole file, comes bit by bit.
        by_group = not isinstance(found.disk, LocalDisk)
        file = pq.ParquetFile(stream, pre_buffer=by_group, buffer_size=0 if by_group else _BUFFER_BYTES)
        for batch in file.iter_batches(batch_size=PART_ROWS):
            yield pa.Table.from_batches([batch])


def arrow_files(found: Found) -> list[str]:
    """Return the paths of the data files in an Arrow folder, in order.

    Raises:
        InputError: It has several splits, or was not written whole.
    """
    if found.disk.kind(f"{found.path}/dataset_dict.json"):
        splits: list[str] = _read_settings(found, "dataset_dict.json").get("splits", [])
        split = "train" if "train" in splits else splits[0] if len(splits) == 1 else ""
        if not split:
            hint = f"Name one of them: {', '.join(f'{found.path}/{name}' for name in splits)}."
            raise found.problem("has several splits and none called 'train'.", hint)
        return arrow_files(Found(f"{found.path}/{_inside(found, split)}", found.format, found.disk))
    state = _read_settings(found, "state.json")
    if state.get("_indices_data_files"):
        raise found.problem("was saved by an old release of datasets.", "Load it and save it again with save_to_disk.")
    return [f"{found.path}/{_inside(found, entry['filename'])}" for entry in state.get("_data_files", [])]


def _inside(found: Found, name: str) -> str:
    """Return a name in a folder, unless it leads out of it."""
    if name.startswith("/") or ".." in name.split("/"):
        raise found.problem(f"names '{name}', which is not in the folder.")
    return name


def _read_settings(found: Found, name: str) -> dict[str, Any]:
    try:
        with closing(found.disk.open(f"{found.path}/{name}")) as stream:
            settings = json.load(stream)
    except (ValueError, FileNotFoundError) as error:
        raise found.problem(f"is not an Arrow folder: its {name} cannot be read.") from error
    return settings if isinstance(settings, dict) else {}


def _read_arrow(found: Found, path: str) -> pa.Table:
    """Read an Arrow file of either kind; a local one is mapped, not copied."""
    import pyarrow as pa

    if isinstance(found.disk, LocalDisk):
        source = pa.memory_map(path)
    else:
        with closing(found.disk.open(path)) as stream:
            source = pa.BufferReader(stream.read())
    try:
        return pa.ipc.open_stream(source).read_all()
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_file(source).read_all()


def _limited(tables: Iterator[pa.Table], limit: int | None) -> Iterator[pa.Table]:
    left = limit
    for table in tables:
        yield table.slice(0, left)
        if left is not None:
            left -= min(left, table.num_rows)
            if not left:
                return


def _name_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a number"
