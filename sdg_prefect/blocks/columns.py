"""Rename, copy, combine, choose and flatten columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.errors import BlockError
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("RenameColumns")
class RenameColumns(Block):
    """Rename columns, all at once, so that names can be swapped or handed on.

    A column whose name is taken by a renamed one is lost; ``check`` warns of it.
    """

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"columns_map": {"text": "document"}},
        rows=[{"text": "Bees dance."}],
        output=[{"document": "Bees dance."}],
    )

    columns_map: Mapping[str, str] = Field(min_length=1)
    """Old name to new name."""

    @model_validator(mode="after")
    def _names_differ(self) -> RenameColumns:
        check_new_names(self.columns_map)
        return self

    def reads(self) -> Iterable[str]:
        return self.columns_map

    def columns_after(self, before: Columns) -> Columns:
        kept = before.minus(name for name in self.columns_map.values() if name not in self.columns_map)
        return Columns(tuple(self.columns_map.get(name, name) for name in kept.names), before.open)

    def doubts(self, before: Columns) -> Iterable[str]:
        kept = set(before.names) - set(self.columns_map)
        for old, new in self.columns_map.items():
            if new in kept:
                yield f"'{old}' takes the place of the column '{new}', which is lost."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Rename."""
        table = to_table(rows)
        lost = [new for new in self.columns_map.values() if new in table.column_names and new not in self.columns_map]
        table = table.drop_columns(lost) if lost else table
        return to_dataset(table.rename_columns([self.columns_map.get(name, name) for name in table.column_names]))


def check_new_names(columns_map: Mapping[str, str]) -> None:
    """Refuse to give two columns one name."""
    new = list(columns_map.values())
    if twice := {name for name in new if new.count(name) > 1}:
        raise PydanticCustomError("columns_map", "two columns would be named {names}.", {"names": ", ".join(sorted(twice))})


@block("DuplicateColumns")
class DuplicateColumns(Block):
    """Copy columns under new names, in the order given; a copy can be copied."""

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"columns_map": {"text": "original"}},
        rows=[{"text": "Bees dance."}],
        output=[{"text": "Bees dance.", "original": "Bees dance."}],
    )

    columns_map: Mapping[str, str] = Field(min_length=1)
    """Existing name to the name of the copy."""

    def reads(self) -> Iterable[str]:
        made: set[str] = set()
        for old, new in self.columns_map.items():
            if old not in made:
                yield old
            made.add(new)

    def writes(self) -> Iterable[str]:
        return self.columns_map.values()

    def doubts(self, before: Columns) -> Iterable[str]:
        for old, new in self.columns_map.items():
            if new in before:
                yield f"the copy of '{old}' takes the place of the column '{new}'."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Copy; Arrow shares the data."""
        table = to_table(rows)
        for old, new in self.columns_map.items():
            table = set_column(table, new, table.column(old))
        return to_dataset(table)


@block("CombineColumnsBlock")
class CombineColumnsBlock(Block):
    """Join the values of several columns into one text. A null is written ``None``."""

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"columns": ["title", "text"], "output_col": "document", "separator": ": "},
        rows=[{"title": "Bees", "text": "They dance."}],
        output=[{"title": "Bees", "text": "They dance.", "document": "Bees: They dance."}],
    )

    columns: tuple[str, ...] = Field(min_length=1)
    """Columns to join, in order."""
    output_col: str = Field(min_length=1)
    """Column that gets the text; may be one of the joined."""
    separator: str = "\n\n"
    """Stands between the values."""

    def reads(self) -> Iterable[str]:
        return self.columns

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Join."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = to_table(rows)
        texts = [_as_text(table.column(name)) for name in self.columns]
        joined = pc.binary_join_element_wise(*texts, pa.scalar(self.separator, pa.large_string()))
        return to_dataset(set_column(table, self.output_col, joined.cast(pa.string())))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write each value as Python writes it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.fill_null(column.cast(pa.large_string()), "None")
    return pa.chunked_array([pa.array([str(value) for value in column.to_pylist()], pa.large_string())])


@block("SelectorBlock")
class SelectorBlock(Block):
    """Copy the value of the column that belongs to the row's choice. A row with another choice is rejected."""

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"choice_map": {"A": "first", "B": "second"}, "choice_col": "better", "output_col": "answer"},
        rows=[{"first": "Yes.", "second": "Yes, in spring.", "better": "B"}],
        output=[{"first": "Yes.", "second": "Yes, in spring.", "better": "B", "answer": "Yes, in spring."}],
    )

    choice_map: Mapping[str | bool | int | float, str] = Field(min_length=1)
    """Choice to the column whose value is taken. Quote YES and NO, which are true and false in YAML."""
    choice_col: str = Field(min_length=1)
    """Column that holds the choice."""
    output_col: str = Field(min_length=1)
    """Column that gets the value."""

    def reads(self) -> Iterable[str]:
        return dict.fromkeys((self.choice_col, *self.choice_map.values()))

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def doubts(self, before: Columns) -> Iterable[str]:
        return unquoted(self.choice_map, "choice_map")

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Choose."""
        table = with_known_choices(to_table(rows), (self.choice_col,), self.choice_map, context)
        return to_dataset(set_column(table, self.output_col, chosen(table, self.choice_col, self.choice_map)))


def with_known_choices(table: pa.Table, columns: Sequence[str], choice_map: Mapping[Any, str], context: Context) -> pa.Table:
    """Return the rows whose choices are all known; the others are rejected."""
    import pyarrow as pa

    kept = []
    for row, choices in enumerate(zip(*(table.column(name).to_pylist() for name in columns), strict=True)):
        unknown = [choice for choice in choices if not isinstance(choice, Hashable) or choice not in choice_map]
        if unknown:
            context.reject(row, "UnknownChoice", f"{unknown[0]!r} is none of {', '.join(map(repr, choice_map))}.")
        else:
            kept.append(row)
    return table.take(pa.array(kept, pa.int64()))


def chosen(table: pa.Table, choices: str, choice_map: Mapping[Any, str]) -> pa.Array:
    """Return for each row the value of the column that belongs to its choice."""
    import pyarrow as pa

    kind = _wide_type([table.column(name).type for name in choice_map.values()])
    options = {choice: _recast(table.column(name), kind) for choice, name in choice_map.items()}
    return pa.array([options[choice][row].as_py() for row, choice in enumerate(table.column(choices).to_pylist())], kind)


def unquoted(choices: Iterable[object], field: str) -> list[str]:
    """Say which choices YAML has read as true or false."""
    found = [str(choice).lower() for choice in choices if isinstance(choice, bool)]
    return (
        [f"{field} has the choice {' and '.join(found)}; quote it if the rows hold YES, NO, on or off as text."] if found else []
    )


@block("FlattenColumnsBlock")
class FlattenColumnsBlock(Block):
    """Turn columns into rows: one row for each of them, with its name and its value.

    All rows of the first column come before those of the second, as with pandas' melt.
    """

    makes_rows: ClassVar[bool] = True
    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"var_cols": ["summary", "facts"], "value_name": "text", "var_name": "kind"},
        rows=[{"id": 1, "summary": "Bees dance.", "facts": "Bees have six legs."}],
        output=[
            {"id": 1, "kind": "summary", "text": "Bees dance."},
            {"id": 1, "kind": "facts", "text": "Bees have six legs."},
        ],
    )

    var_cols: tuple[str, ...] = Field(min_length=1)
    """Columns that become rows."""
    value_name: str = Field(min_length=1)
    """Column that gets the value."""
    var_name: str = Field(min_length=1)
    """Column that gets the name of the flattened column."""

    def reads(self) -> Iterable[str]:
        return self.var_cols

    def rows_per_row(self) -> tuple[int, int | None]:
        return len(self.var_cols), len(self.var_cols)

    def columns_after(self, before: Columns) -> Columns:
        return before.minus(self.var_cols).plus((self.var_name, self.value_name))

    def run(self, rows: Dataset, context: Context) -> list[Dataset]:
        """Flatten; a part for each column, so that the order holds over all shards."""
        import pyarrow as pa

        table = to_table(rows)
        others = table.drop_columns(list(self.var_cols))
        kind = _wide_type([table.column(name).type for name in self.var_cols])
        parts = []
        for name in self.var_cols:
            column = table.column(name)
            part = set_column(others, self.var_name, pa.array([name] * table.num_rows, pa.string()))
            parts.append(to_dataset(set_column(part, self.value_name, _recast(column, kind))))
        return parts


def _wide_type(types: list[pa.DataType]) -> pa.DataType:
    """Return the type that holds the values of all columns: numbers widen, anything else mixed becomes text."""
    import pyarrow as pa

    try:
        schemas = [pa.schema([("value", kind)]) for kind in types]
        return pa.unify_schemas(schemas, promote_options="permissive").field("value").type
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.string()


def _recast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    """Give a column another type; as text, each value is written as Python writes it."""
    import pyarrow as pa

    if column.type == kind:
        return column
    if pa.types.is_string(kind) and not (pa.types.is_string(column.type) or pa.types.is_null(column.type)):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    # A cast of objects goes by position in some releases of Arrow; values go by key.
    if pa.types.is_nested(kind):
        return pa.array(column.to_pylist(), kind)
    # Beside floats whole numbers become floats, those above 2**53 the nearest one, as in pandas.
    return column.cast(kind, safe=not pa.types.is_floating(kind))


@block("SetToMajorityValue")
class SetToMajorityValue(Block):
    """Set a column to its most frequent value in every row; the smallest of equally frequent ones. Nulls and NaN don't count."""

    scope: ClassVar[Literal["all"]] = "all"
    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"col_name": "label"},
        rows=[{"label": "news"}, {"label": "novel"}, {"label": "news"}],
        output=[{"label": "news"}, {"label": "news"}, {"label": "news"}],
    )

    col_name: str = Field(min_length=1)
    """The column."""

    def reads(self) -> Iterable[str]:
        return (self.col_name,)

    def writes(self) -> Iterable[str]:
        return (self.col_name,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Count and set; a column of nulls stays as it is."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = to_table(rows)
        column = table.column(self.col_name)
        if pa.types.is_nested(column.type):
            raise BlockError(
                f"block '{self.block_name}': column '{self.col_name}' holds lists or objects, which are not counted."
            )
        counted = [entry for entry in pc.value_counts(column.drop_null()).to_pylist() if entry["values"] == entry["values"]]
        if not counted:
            return to_dataset(table)
        most = max(entry["counts"] for entry in counted)
        value = min(entry["values"] for entry in counted if entry["counts"] == most)
        return to_dataset(set_column(table, self.col_name, pa.array([value] * table.num_rows, column.type)))
