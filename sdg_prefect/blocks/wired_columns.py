"""Rename, copy, join, choose and flatten columns, as flows of sdg_hub 0.9 write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.columns import (
    CombineColumnsBlock,
    DuplicateColumns,
    FlattenColumnsBlock,
    RenameColumns,
    check_new_names,
    chosen,
    unquoted,
    with_known_choices,
)
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.wired import Names, OneName, RenamedBlock, WiredBlock
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("RenameColumnsBlock")
class RenameColumnsBlock(RenamedBlock):
    """Rename columns, all at once, so that names can be swapped or handed on.

    A column whose name is taken by a renamed one is lost; ``check`` warns of it.
    """

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"input_cols": {"text": "document"}},
        rows=[{"text": "Bees dance."}],
        output=[{"document": "Bees dance."}],
    )

    input_cols: Mapping[str, str] = Field(min_length=1)
    """Old name to new name."""
    output_cols: Names = ()
    """Without effect: the new names stand in ``input_cols``."""

    @model_validator(mode="after")
    def _names_differ(self) -> RenameColumnsBlock:
        check_new_names(self.input_cols)
        return self

    @property
    def plain(self) -> Block:
        return RenameColumns(block_name=self.block_name, columns_map=self.input_cols)


@block("DuplicateColumnsBlock")
class DuplicateColumnsBlock(RenamedBlock):
    """Copy columns under new names, in the order given; a copy can be copied."""

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"input_cols": {"text": "original"}},
        rows=[{"text": "Bees dance."}],
        output=[{"text": "Bees dance.", "original": "Bees dance."}],
    )

    input_cols: Mapping[str, str] = Field(min_length=1)
    """Existing name to the name of the copy."""
    output_cols: Names = ()
    """Without effect: the names of the copies stand in ``input_cols``."""

    @property
    def plain(self) -> Block:
        return DuplicateColumns(block_name=self.block_name, columns_map=self.input_cols)


@block("TextConcatBlock")
class TextConcatBlock(RenamedBlock):
    """Join the values of several columns into one text. A null is written ``None``."""

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"input_cols": ["title", "text"], "output_cols": "document", "separator": ": "},
        rows=[{"title": "Bees", "text": "They dance."}],
        output=[{"title": "Bees", "text": "They dance.", "document": "Bees: They dance."}],
    )

    input_cols: Names = Field(min_length=1)
    """Columns to join, in order."""
    output_cols: OneName
    """The one column that gets the text; may be one of the joined."""
    separator: str = "\n\n"
    """Stands between the values."""

    @property
    def plain(self) -> Block:
        return CombineColumnsBlock(
            block_name=self.block_name, columns=self.input_cols, output_col=self.output_cols[0], separator=self.separator
        )


@block("MeltColumnsBlock")
class MeltColumnsBlock(RenamedBlock):
    """Turn columns into rows: one row for each of them, with its value and its name.

    All rows of the first column come before those of the second, as with pandas' melt.
    """

    makes_rows: ClassVar[bool] = True
    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"input_cols": ["summary", "facts"], "output_cols": ["text", "kind"]},
        rows=[{"id": 1, "summary": "Bees dance.", "facts": "Bees have six legs."}],
        output=[
            {"id": 1, "kind": "summary", "text": "Bees dance."},
            {"id": 1, "kind": "facts", "text": "Bees have six legs."},
        ],
    )

    input_cols: Names = Field(min_length=1)
    """Columns that become rows."""
    output_cols: Names
    """Two columns: the one that gets the value, and the one that gets the name of the flattened column."""

    @model_validator(mode="after")
    def _has_two_columns(self) -> MeltColumnsBlock:
        if len(self.output_cols) != 2:
            message = "'output_cols' has to name two columns, for the value and for the name, not {count}."
            raise PydanticCustomError("columns", message, {"count": len(self.output_cols)})
        return self

    def rows_per_row(self) -> tuple[int, int | None]:
        return len(self.input_cols), len(self.input_cols)

    @property
    def plain(self) -> Block:
        value, name = self.output_cols
        return FlattenColumnsBlock(block_name=self.block_name, var_cols=self.input_cols, value_name=value, var_name=name)


@block("IndexBasedMapperBlock")
class IndexBasedMapperBlock(WiredBlock):
    """Copy the value of the column that belongs to the row's choice, for one or several columns of choices.

    A row with another choice is rejected.
    """

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"choice_map": {"A": "first", "B": "second"}, "choice_cols": ["better"], "output_cols": ["answer"]},
        rows=[{"first": "Yes.", "second": "Yes, in spring.", "better": "B"}],
        output=[{"first": "Yes.", "second": "Yes, in spring.", "better": "B", "answer": "Yes, in spring."}],
    )

    choice_map: Mapping[str | bool | int | float, str] = Field(min_length=1)
    """Choice to the column whose value is taken. Quote YES and NO, which are true and false in YAML."""
    choice_cols: Names = Field(min_length=1)
    """Columns that hold the choices."""
    output_cols: Names
    """Columns that get the values; the first for the first of ``choice_cols``, and so on."""
    input_cols: Names = ()
    """Without effect: what is read is known from the choices."""

    @model_validator(mode="after")
    def _columns_pair(self) -> IndexBasedMapperBlock:
        if len(self.choice_cols) != len(self.output_cols):
            counts = {"choices": len(self.choice_cols), "outputs": len(self.output_cols)}
            message = "'choice_cols' names {choices} column(s) and 'output_cols' {outputs}; each choice fills one column."
            raise PydanticCustomError("columns", message, counts)
        return self

    def reads(self) -> Iterable[str]:
        return dict.fromkeys((*self.choice_cols, *self.choice_map.values()))

    def writes(self) -> Iterable[str]:
        return self.output_cols

    def doubts(self, before: Columns) -> Iterable[str]:
        return [*super().doubts(before), *unquoted(self.choice_map, "choice_map")]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Choose."""
        table = with_known_choices(to_table(rows), self.choice_cols, self.choice_map, context)
        for choices, name in zip(self.choice_cols, self.output_cols, strict=True):
            table = set_column(table, name, chosen(table, choices, self.choice_map))
        return to_dataset(table)
