"""CSV and TSV files: values as they are written, and numbers only where nothing of the text is lost."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from sdg_prefect.errors import InputError, Problem
from sdg_prefect.rows import PART_ROWS
from sdg_prefect.store.formats import Format
from sdg_prefect.store.places import BOM, UTF8, Found, broken_lines, lowered

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT = 2**53
"""Whole numbers up to here are the same as a decimal."""
_WHOLE = r"^(0|-?[1-9][0-9]*)$"
_NUMBER = r"^-?[0-9][0-9.e+-]*$"
_SIGNS = {";": "semicolons", "\t": "tabs"}
_OTHER_SIGN = re.compile("[;\t]")
"""What some programs put between values instead of commas."""
_SHOWN = 60
"""Characters of a first line that are repeated."""
_QUOTES = "Put text with delimiters or line breaks in it between double quotes."


def read_header(found: Found, rows: Iterator[list[str]]) -> list[str]:
    """Return the column names of a delimited file; none where it is empty.

    Raises:
        InputError: A column has no name, or that of another.
    """
    names = next((row for row in rows if row), [])
    if len(names) == 1 and found.format is Format.CSV and (sign := _OTHER_SIGN.search(names[0])):
        named = names[0].replace("\t", " ")[:_SHOWN]
        parted = f"the first line names one column, '{named}', and its values seem to be parted by {_SIGNS[sign[0]]}."
        raise found.problem(parted, "Save it with commas between the values, or with tabs as .tsv.", 1)
    problems = []
    for position, name in enumerate(names, start=1):
        if not name:
            hint = "Name every column in the first line; pandas leaves its index out with index=False."
            problems.append(Problem(f"column {position} has no name.", hint, found.path, 1))
        elif name in names[: position - 1]:
            hint = "Give each column a name of its own."
            problems.append(Problem(f"column '{name}' is there twice.", hint, found.path, 1))
    if problems:
        raise InputError(problems)
    return names


def delimited_rows(found: Found, stream: IO[bytes]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a delimited file with the line that each ends on, the header first; blank lines are passed over."""
    csv.field_size_limit(sys.maxsize)
    rows = csv.reader(_decoded(found, stream), delimiter=found.format.delimiter, strict=True)
    try:
        for row in rows:
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        hint = 'Put text with quotes in it between double quotes, and write each " in it twice.'
        raise found.problem(f"not valid {found.format.value}: {lowered(str(error))}.", hint, rows.line_num) from error


def _decoded(found: Found, stream: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(stream, start=1):
        try:
            yield (line.removeprefix(BOM) if number == 1 else line).decode()
        except UnicodeDecodeError as error:
            raise found.problem("not UTF-8 text.", UTF8, number) from error


def read_delimited(found: Found, stream: IO[bytes], limit: int | None) -> Iterator[pa.Table]:
    """Yield the rows as text, an empty value as null; which columns are numbers shows when all rows are there."""
    rows = delimited_rows(found, stream)
    names = read_header(found, (row for _, row in rows))
    broken: list[Problem] = []
    part: list[list[str]] = []
    count = 0
    while count != limit and (numbered := next(rows, None)):
        number, row = numbered
        if len(row) != len(names):
            values = "1 value" if len(row) == 1 else f"{len(row)} values"
            broken.append(Problem(f"has {values}, but the first line names {len(names)} columns.", _QUOTES, found.path, number))
            continue
        part.append(row)
        count += 1
        if len(part) == PART_ROWS:
            if not broken:
                yield _text_table(names, part)
            part = []
    if broken:
        raise broken_lines(found, broken)
    if part:
        yield _text_table(names, part)


def _text_table(names: list[str], rows: list[list[str]]) -> pa.Table:
    import pyarrow as pa

    columns = [pa.array([value or None for value in column], pa.string()) for column in zip(*rows, strict=True)]
    return pa.table(columns, names=names)


def typed_schema(table: pa.Table) -> pa.Schema:
    """Return the types that columns of text become: numbers, or true and false, if writing them again gives the same text."""
    import pyarrow as pa

    return pa.schema([(name, _type_of(table.column(name))) for name in table.column_names])


def _type_of(column: pa.ChunkedArray) -> pa.DataType:
    import pyarrow as pa

    kinds = ((pa.bool_(), _are_true_or_false), (pa.int64(), _are_whole), (pa.float64(), _are_decimal))
    if column.null_count < len(column):
        for kind, fit in kinds:
            if all(fit(chunk) for chunk in column.chunks):
                return kind
    return column.type


def _all_match(texts: pa.Array, pattern: str) -> bool:
    """True if all texts are of a form; there may be none."""
    import pyarrow.compute as pc

    return pc.all(pc.match_substring_regex(texts, pattern)).as_py() is not False


def _are_true_or_false(texts: pa.Array) -> bool:
    return _all_match(texts, "^(True|False)$")


def _are_whole(texts: pa.Array) -> bool:
    import pyarrow as pa

    if not _all_match(texts, _WHOLE):
        return False
    try:
        texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _are_decimal(texts: pa.Array) -> bool:
    return _all_match(texts, _NUMBER) and all(text is None or _number(text) is not None for text in texts.to_pylist())


def _number(text: str) -> float | None:
    """Return the number that a text writes in Python's own way; ``1.10`` and ``007`` are text."""
    if re.match(_WHOLE, text):
        return float(text) if abs(int(text)) <= _EXACT else None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if repr(value) == text else None
