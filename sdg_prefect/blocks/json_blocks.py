"""JSON in columns: parse it, and make it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.values import as_json, column_of
from sdg_prefect.blocks.wired import Names, OneName, WiredBlock
from sdg_prefect.rows import ROW_ID, set_column, to_dataset, to_table, well_formed

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_TRAILING_COMMA = re.compile(r",\s*([}\]])")
_DECODER = json.JSONDecoder(strict=False)
_BRACKETS = (("{", "}"), ("[", "]"))


@block("JSONParserBlock")
class JSONParserBlock(WiredBlock):
    """Parse a column of JSON; each key becomes a column. A text without JSON leaves its row with nulls.

    A list becomes the column ``items``, any other value ``value``. Columns and their types depend on all rows, so the block waits
    for them; ``scope: shard`` lets it take the rows of a shard for all.
    """

    scope: ClassVar[Literal["all"]] = "all"
    is_opaque: ClassVar[bool] = True
    family: ClassVar[str] = "Parse a column"
    example: ClassVar[Example] = Example(
        config={"input_cols": "reply", "output_cols": ["question", "answer"]},
        rows=[{"reply": 'Here: {"question": "Who dances?", "answer": "Bees."}'}],
        output=[{"reply": 'Here: {"question": "Who dances?", "answer": "Bees."}', "question": "Who dances?", "answer": "Bees."}],
    )

    input_cols: OneName
    """The column to parse."""
    output_cols: Names = ()
    """The keys that become columns; all that any row has if not given."""
    field_prefix: str = ""
    """What the names of the columns begin with."""
    fix_trailing_commas: bool = True
    """Reads JSON that has a comma before a closing bracket."""
    extract_embedded: bool = True
    """Finds JSON among other text, and closes what was cut off."""
    drop_input: bool = False
    """Drops the column that is parsed."""

    def reads(self) -> Iterable[str]:
        return self.input_cols

    def writes(self) -> Iterable[str]:
        return [f"{self.field_prefix}{name}" for name in self.output_cols]

    def columns_after(self, before: Columns) -> Columns:
        left = before.minus(self.input_cols) if self.drop_input else before
        after = left.plus(self.writes())
        return after if self.output_cols else Columns(after.names, True)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Parse."""
        table = to_table(rows)
        found = [self._parse(text) for text in table.column(self.input_cols[0]).to_pylist()]
        names = self.output_cols or dict.fromkeys(str(name) for values in found for name in values)
        if self.drop_input:
            table = table.drop_columns(list(self.input_cols))
        for name in names:
            if (column := f"{self.field_prefix}{name}") != ROW_ID:
                table = set_column(table, column, column_of([values.get(name) for values in found]))
        return to_dataset(table)

    def _parse(self, text: Any) -> dict[str, Any]:
        """Return the keys of the JSON in a text; none where there is no JSON."""
        for candidate in self._candidates(text.strip()) if isinstance(text, str) else ():
            for written in (candidate, _TRAILING_COMMA.sub(r"\1", candidate)) if self.fix_trailing_commas else (candidate,):
                try:
                    value = well_formed(_DECODER.decode(written))
                except (ValueError, RecursionError):
                    continue
                return value if isinstance(value, dict) else {"items" if isinstance(value, list) else "value": value}
        return {}

    def _candidates(self, text: str) -> Iterator[str]:
        """Give the parts of a text that may be JSON: what stands in brackets, closed where it was cut off."""
        if not self.extract_embedded:
            yield text
            return
        begins = {opening: text.find(opening) for opening, _ in _BRACKETS}
        for opening, closing in _BRACKETS:
            start, end = begins[opening], text.rfind(closing)
            if start == -1 or (opening == "[" and -1 < begins["{"] < start):
                continue
            yield text[start : end + 1] if end > start else text[start:] + closing * text.count(opening, start)


@block("JSONStructureBlock")
class JSONStructureBlock(WiredBlock):
    """Write several columns as one JSON object, with the names of the columns as keys. NaN is written as null."""

    family: ClassVar[str] = "Columns"
    example: ClassVar[Example] = Example(
        config={"input_cols": ["question", "answer"], "output_cols": "pair"},
        rows=[{"question": "Who dances?", "answer": "Bees."}],
        output=[{"question": "Who dances?", "answer": "Bees.", "pair": '{"question": "Who dances?", "answer": "Bees."}'}],
    )

    input_cols: Names = Field(min_length=1)
    """Columns that become keys, in order."""
    output_cols: OneName
    """The one column that gets the JSON."""
    ensure_json_serializable: bool = True
    """Without effect: what JSON does not know, such as a date, is always written as text."""
    pretty_print: bool = False
    """Writes each key on a line of its own."""

    def reads(self) -> Iterable[str]:
        return self.input_cols

    def writes(self) -> Iterable[str]:
        return self.output_cols

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Write."""
        import pyarrow as pa

        table = to_table(rows)
        objects = table.select(list(dict.fromkeys(self.input_cols))).to_pylist()
        ordered = [{name: values[name] for name in self.input_cols} for values in objects]
        texts = [as_json(values, 2 if self.pretty_print else None) for values in ordered]
        return to_dataset(set_column(table, self.output_cols[0], pa.array(texts, pa.string())))
