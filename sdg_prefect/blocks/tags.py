"""Find what stands between tags in a column of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.parsing import cleaned, parse_tags, rows_of
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.wired import Names, OneName, WiredBlock
from sdg_prefect.rows import to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Parse = Callable[[str], list[tuple[str, ...]]]
"""Turns a text into rows of values, one for each column."""


def _as_tags(value: Any) -> Any:
    return () if value is None else (value,) if isinstance(value, str) else tuple("" if tag is None else tag for tag in value)


Tags = Annotated[tuple[str, ...], BeforeValidator(_as_tags, json_schema_input_type=str | list[str | None])]
"""Tags: one as a text, or a list. An empty one is none."""


@block("TagParserBlock")
class TagParserBlock(WiredBlock):
    """Parse a column by tags; each pair of tags fills a column, and every match gives a row.

    Empty matches count as none. Columns with fewer matches end the rows. A column of lists of texts gives one row with lists of
    what is found in all of them. A row in which nothing is found is rejected.
    """

    makes_rows: ClassVar[bool] = True
    family: ClassVar[str] = "Parse a column"
    example: ClassVar[Example] = Example(
        config={"input_cols": "reply", "output_cols": ["answer"], "start_tags": ["<answer>"], "end_tags": ["</answer>"]},
        rows=[{"reply": "So: <answer>Bees.</answer>"}],
        output=[{"reply": "So: <answer>Bees.</answer>", "answer": "Bees."}],
    )

    input_cols: OneName
    """The column to parse."""
    output_cols: Names
    """Columns to fill, one for each pair of tags."""
    start_tags: Tags
    """What a value begins after; an empty tag means from the begin of the text, or with an empty end tag the whole text."""
    end_tags: Tags
    """What a value ends before; an empty tag means to the end of the text."""
    parser_cleanup_tags: tuple[str, ...] | None = None
    """Texts that are taken out of each value."""

    @model_validator(mode="after")
    def _tags_pair(self) -> TagParserBlock:
        counts = {"starts": len(self.start_tags), "ends": len(self.end_tags), "columns": len(self.output_cols)}
        if len(set(counts.values())) > 1 or not self.output_cols:
            message = "{starts} start tag(s) and {ends} end tag(s) for {columns} output column(s); each column needs one of both."
            raise PydanticCustomError("parser", message, counts)
        return self

    def reads(self) -> Iterable[str]:
        return self.input_cols

    def writes(self) -> Iterable[str]:
        return self.output_cols

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Parse."""
        return to_dataset(parsed(to_table(rows), self.input_cols[0], self.output_cols, self._rows, context))

    def _rows(self, text: str) -> list[tuple[str, ...]]:
        tags = list(zip(self.start_tags, self.end_tags, strict=True))
        matches = parse_tags(text, tags, self.output_cols)
        full = {name: [value for value in values if value] for name, values in matches.items()}
        return rows_of({name: [cleaned(value, self.parser_cleanup_tags or ()) for value in full[name]] for name in full})


def parsed(table: pa.Table, source: str, columns: tuple[str, ...], parse: Parse, context: Context) -> pa.Table:
    """Return the rows that are made of those of a table by parsing a column of texts, or of lists of texts.

    Args:
        table: The input rows.
        source: The column to parse.
        columns: The columns to fill.
        parse: Finds the values in one text.
        context: Told of rows in which nothing is found.
    """
    import pyarrow as pa

    kind = table.column(source).type
    has_lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    expansion = Expansion(columns)
    for place, cell in enumerate(table.column(source).to_pylist()):
        texts = [text for text in (cell if has_lists else [cell]) or () if isinstance(text, str)]
        made: list[Sequence[Any]] = [values for text in texts for values in parse(text)]
        if not made:
            context.reject(place, "NothingParsed", f"the parser finds nothing in '{source}'.", raw="\n".join(texts))
        elif has_lists:
            expansion.add(place, [list(values) for values in zip(*made, strict=True)])
        else:
            for values in made:
                expansion.add(place, values)
    return expansion.table(table, pa.list_(pa.string()) if has_lists else pa.string())
