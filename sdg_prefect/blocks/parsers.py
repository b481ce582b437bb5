"""Parse a column that is already there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.parsing import Pattern, cleaned, parse_pattern, rows_of
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.tags import parsed
from sdg_prefect.blocks.wired import Names, WiredBlock
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_END_OF_THOUGHT = "</think>"

Texts = Annotated[tuple[str, ...], BeforeValidator(lambda value: value or (), json_schema_input_type=list[str] | None)]
"""Some texts, or none."""


@block("PostProcessThinkingBlock")
class PostProcessThinkingBlock(Block):
    """Keep what a reasoning model says after its last ``</think>``; what has none stays as it is."""

    family: ClassVar[str] = "Parse a column"
    example: ClassVar[Example] = Example(
        config={"column_name": "reply"},
        rows=[{"reply": "<think>Two and two.</think>Four."}],
        output=[{"reply": "Four."}],
    )

    column_name: str = Field(min_length=1)
    """Column of replies."""

    def reads(self) -> Iterable[str]:
        return (self.column_name,)

    def writes(self) -> Iterable[str]:
        return (self.column_name,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Cut the thoughts off."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = to_table(rows)
        column = table.column(self.column_name)
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return rows
        after = pc.utf8_ltrim_whitespace(pc.replace_substring_regex(column, f"(?s)^.*{_END_OF_THOUGHT}", ""))
        answers = pc.if_else(pc.match_substring(column, _END_OF_THOUGHT), after, column)
        return to_dataset(set_column(table, self.column_name, answers))


@block("SplitReasoning")
class SplitReasoning(Block):
    """Keep what a reasoning model thinks apart from what it answers: the text between two tags, and the text behind.

    A text that was cut while the model was thinking has no answer: the row is rejected, as is one with something else than a
    text. A text without tags is all answer.
    """

    family: ClassVar[str] = "Parse a column"
    example: ClassVar[Example] = Example(
        config={"input_col": "reply", "answer_col": "answer", "reasoning_col": "reasoning"},
        rows=[{"reply": "<think>Two and two.</think>\nFour."}],
        output=[{"reply": "<think>Two and two.</think>\nFour.", "answer": "Four.", "reasoning": "Two and two."}],
    )

    input_col: str = Field(min_length=1)
    """Column of replies."""
    answer_col: str = Field(min_length=1)
    """Column that gets the answer; may be the one of the replies."""
    reasoning_col: str = Field(min_length=1)
    """Column that gets the thoughts; null where there are none."""
    start_tag: str = "<think>"
    """Stands before the thoughts; may be missing, as where it is a part of the prompt."""
    end_tag: str = Field(default="</think>", min_length=1)
    """Stands behind them."""

    def reads(self) -> Iterable[str]:
        return (self.input_col,)

    def writes(self) -> Iterable[str]:
        return (self.answer_col, self.reasoning_col)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Split each reply at the last end tag."""
        table = to_table(rows)
        expansion = Expansion((self.answer_col, self.reasoning_col))
        for place, text in enumerate(table.column(self.input_col).to_pylist()):
            if text is not None and not isinstance(text, str):
                context.reject(place, "NoText", f"'{self.input_col}' does not hold a reply, which is a text.")
                continue
            thoughts, tag, answer = (text or "").rpartition(self.end_tag)
            if not tag and self.start_tag and answer.lstrip().startswith(self.start_tag):
                context.reject(place, "NoAnswer", f"the reply ends within '{self.start_tag}'.", raw=answer)
                continue
            said = thoughts.strip().removeprefix(self.start_tag).strip()
            expansion.add(place, [None if text is None else answer.strip() if tag else answer, said if tag else None])
        return to_dataset(expansion.table(table))


@block("RegexParserBlock")
class RegexParserBlock(WiredBlock):
    """Parse a column with a regular expression; every match gives a row. A row without a match is rejected.

    The column is named by ``input_cols`` as in sdg_hub 0.9, or by ``column_name`` as in flows for 0.1. A column of lists of
    texts gives one row with lists of what is found in all of them. Each cleanup text is taken out of the output columns after
    that. With ``column_name`` and no pattern only the cleanup is done.
    """

    makes_rows: ClassVar[bool] = True
    family: ClassVar[str] = "Parse a column"
    example: ClassVar[Example] = Example(
        config={"column_name": "reply", "parsing_pattern": r"Q: (.*?)\nA: (.*?)(?:\n|$)", "output_cols": ["question", "answer"]},
        rows=[{"reply": "Q: Who dances?\nA: Bees."}],
        output=[{"reply": "Q: Who dances?\nA: Bees.", "question": "Who dances?", "answer": "Bees."}],
    )

    input_cols: Names = ()
    """The one column to parse."""
    column_name: str = ""
    """Another way to name it."""
    parsing_pattern: Pattern = ""
    """Pattern whose groups become the output columns."""
    parser_cleanup_tags: Texts = ()
    """Texts that are taken out of the output columns."""
    output_cols: Names = ()
    """Columns that the groups fill, or that are cleaned up."""

    @model_validator(mode="after")
    def _fields_fit(self) -> RegexParserBlock:
        if len(self.input_cols) + bool(self.column_name) != 1:
            raise PydanticCustomError("columns", "has to name one column to parse, as 'input_cols'.")
        if self.input_cols and not self.parsing_pattern:
            raise PydanticCustomError("parser", "needs a 'parsing_pattern'.")
        if self.parsing_pattern and not self.output_cols:
            raise PydanticCustomError("parser", "a 'parsing_pattern' needs 'output_cols' to fill.")
        if self.column_name and self.parsing_pattern and self._groups < len(self.output_cols):
            raise PydanticCustomError(
                "parser",
                "the pattern has {groups} group(s) for {columns} output columns, so no text could ever give a row.",
                {"groups": self._groups, "columns": len(self.output_cols)},
            )
        return self

    @property
    def _groups(self) -> int:
        return max(1, re.compile(self.parsing_pattern).groups)

    @property
    def _source(self) -> str:
        return self.column_name or self.input_cols[0]

    def reads(self) -> Iterable[str]:
        return (self._source,) if self.parsing_pattern else self.output_cols

    def writes(self) -> Iterable[str]:
        return self.output_cols[: self._groups] if self.input_cols else self.output_cols

    def doubts(self, before: Columns) -> Iterable[str]:
        if self.input_cols:
            yield from super().doubts(before)
        if never := self.output_cols[self._groups :] if self.input_cols else ():
            yield f"the pattern has {self._groups} group(s); these columns are never made: {', '.join(never)}."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Parse, then clean up."""
        import pyarrow as pa

        table, columns = to_table(rows), tuple(self.writes())
        if self.parsing_pattern:
            table = parsed(table, self._source, columns, self._rows, context)
        for name in columns if self.parser_cleanup_tags else ():
            column = table.column(name)
            table = set_column(table, name, pa.array([self._cleaned(value) for value in column.to_pylist()], column.type))
        return to_dataset(table)

    def _rows(self, text: str) -> list[tuple[str, ...]]:
        return rows_of(parse_pattern(text, self.parsing_pattern, tuple(self.writes())))

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._cleaned(one) for one in value]
        return cleaned(value, self.parser_cleanup_tags) if isinstance(value, str) else value
