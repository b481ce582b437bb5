"""Rows gathered part by part into one table on the disk, with the place of the first value that does not fit its column."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Number
from typing import TYPE_CHECKING, Any

from sdg_prefect.errors import InputError, Problem
from sdg_prefect.rows import PART_ROWS, ROW_ID
from sdg_prefect.spill import Spill, spilled
from sdg_prefect.store.columns import Unlike, conformed, joined_type, plain_table, plain_type

if TYPE_CHECKING:
    import pyarrow as pa

ONE_TYPE = "Give the column one type."
_SIMPLE = {"string": "text", "int64": "a number", "bool": "true or false"}
"""Types that Arrow finds only where every value is of that kind."""
_MISSING = ("NaTType", "NAType")
"""How pandas says that a value is not there."""


@dataclass(frozen=True, slots=True)
class Rows:
    """A part of the rows of a file, as Python values."""

    values: Sequence[Mapping[str, Any]]
    file: str = ""
    """The file, as the user named it; empty for rows in memory."""
    numbers: Sequence[int] = ()
    """The line of each row in the file, or its number from 1."""
    by_line: bool = True
    """False where the numbers count rows."""
    doubt: Problem | None = None
    """What may be missing of them: a warning."""

    def problem(self, index: int, message: str, hint: str = "") -> InputError:
        """Return the error of one problem in one of these rows."""
        number = self.numbers[index]
        if self.by_line:
            return InputError([Problem(message, hint, self.file, number)])
        return InputError([Problem(f"row {number}: {message}", hint, self.file)])


@dataclass(slots=True)
class Gatherer:
    """Collects parts of one input and gives each column one type. Parts that are many wait in a file, not in memory."""

    folder: str | None = None
    """Where that file lies; see ``Spill``."""
    count: int = 0
    """Rows so far."""
    _files: list[str] = field(default_factory=list)
    """What each part was read from."""
    _types: dict[str, pa.DataType] = field(default_factory=dict)
    _kinds: dict[str, str] = field(default_factory=dict)
    _parts: Spill = field(init=False)

    def __post_init__(self) -> None:
        self._parts = Spill(self.folder)

    def add_rows(self, rows: Rows) -> None:
        """Add rows whose keys may differ.

        Raises:
            InputError: A value is of another kind than those before it in its column.
        """
        import pyarrow as pa

        names = dict.fromkeys(name for row in rows.values for name in row if name != ROW_ID)
        for name in names:
            if not isinstance(name, str) or not name:
                index = next(index for index, row in enumerate(rows.values) if name in row)
                raise rows.problem(index, f"column {name!r} has no name." if name == "" else f"column {name!r} is not text.")
        arrays = {name: self._column(name, [row.get(name) for row in rows.values], rows) for name in names}
        self._widen(rows.file, ((name, array.type) for name, array in arrays.items()))
        # Rows without any value are rows too.
        self._add(pa.table(arrays or {ROW_ID: pa.nulls(len(rows.values))}), rows.file)

    def add_table(self, table: pa.Table, file: str) -> None:
        """Add rows that have types.

        Raises:
            InputError: A column cannot take the type, or has no name of its own.
        """
        names = table.column_names
        for name in names:
            if not isinstance(name, str) or not name or names.count(name) > 1:
                what = f"column '{name}' is there twice." if name else "a column has no name."
                raise InputError([Problem(what, "Give each column a name of its own.", file)])
        own = table.drop_columns([ROW_ID]) if ROW_ID in names else table
        self._widen(file, ((field.name, plain_type(field.type)) for field in own.schema))
        for start in range(0, own.num_rows, PART_ROWS):
            self._add(plain_table(own.slice(start, PART_ROWS)), file)

    def _add(self, part: pa.Table, file: str) -> None:
        self._parts.add(part)
        self._files.append(file)
        self.count += part.num_rows

    def table(self) -> pa.Table:
        """Return all rows as one table, mapped from a file where they are many. Nothing can be added afterwards.

        Raises:
            InputError: A column mixes decimals with whole numbers that no decimal holds exactly.
        """
        import pyarrow as pa

        schema = pa.schema(list(self._types.items()))
        parts = self._parts.tables()
        if any(part.schema != schema for part in parts):
            parts = spilled(self._conformed(parts, schema), self.folder)
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def _conformed(self, parts: Sequence[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
        import pyarrow as pa

        for part, file in zip(parts, self._files, strict=True):
            try:
                yield conformed(part, schema)
            except pa.ArrowInvalid as error:
                raise InputError([Problem(f"the types of its columns do not join: {_reason(error)}.", ONE_TYPE, file)]) from error

    def _widen(self, file: str, columns: Iterable[tuple[str, pa.DataType]]) -> None:
        for name, kind in columns:
            before = self._types.get(name)
            try:
                self._types[name] = plain_type(kind) if before is None else joined_type(before, kind)
            except Unlike as error:
                message = f"column '{name}' is of type {kind} here but {before} before."
                raise InputError([Problem(message, ONE_TYPE, file)]) from error

    def _column(self, name: str, values: list[Any], rows: Rows) -> pa.Array:
        import pyarrow as pa

        try:
            # JSON has no NaN: like everywhere in pandas it says that there is no value.
            array = pa.array(values, from_pandas=True)
        except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
            self._check_kinds(name, values, rows)
            raise _unfit(name, values, rows) from error
        if pa.types.is_null(array.type):
            return array
        kind = _SIMPLE.get(str(array.type))
        if kind is None or self._kinds.setdefault(name, kind) != kind:
            self._check_kinds(name, values, rows)
        return array

    def _check_kinds(self, name: str, values: list[Any], rows: Rows) -> None:
        """Compare every value with those before it; Arrow alone would take ``true`` after ``1.5`` for ``1.0``."""
        for index, value in enumerate(values):
            for path, kind in _kinds(name, value):
                before = self._kinds.setdefault(path, kind)
                if before != kind:
                    message = f"column '{path}' holds {kind} here but {before} before."
                    raise rows.problem(index, message, ONE_TYPE)


def _kinds(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the kind of a value and of everything in it, each with its path."""
    kind = _kind(value)
    if kind:
        yield path, kind
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _kinds(f"{path}.{key}", item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _kinds(f"{path}[]", item)


def _kind(value: Any) -> str:
    """Name the kind of a value for people; nothing where there is no value."""
    name = type(value).__name__
    if value is None or name in _MISSING or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return "text"
    if name in ("bool", "bool_"):
        return "true or false"
    if isinstance(value, (Number, Decimal)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)) or hasattr(value, "tolist"):
        return "a list"
    if isinstance(value, datetime.date):
        return "a time" if isinstance(value, datetime.datetime) else "a date"
    return name


def _unfit(name: str, values: list[Any], rows: Rows) -> InputError:
    """Return the error of a column of one kind that Arrow cannot hold."""
    import pyarrow as pa

    for index, value in enumerate(values):
        try:
            pa.array([value], from_pandas=True)
        except OverflowError:
            return rows.problem(index, f"column '{name}' holds a whole number beyond 64 bits.", "Write it as text.")
        except UnicodeEncodeError:
            return rows.problem(index, f"column '{name}' holds half a character (an unpaired surrogate).", "Remove it.")
        except (pa.ArrowException, TypeError, ValueError) as error:
            return rows.problem(index, f"column '{name}' holds a value that is not data: {_reason(error)}.")
    message = f"column '{name}' holds decimals beside whole numbers that are too large for them."
    return InputError([Problem(message, "Write them as text.", rows.file)])


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
