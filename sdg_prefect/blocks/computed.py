"""Fill a column with what a template makes of the row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jinja2 import TemplateError
from pydantic import Field

from sdg_prefect.blocks.base import Block, Need, needs_of
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.templates import TemplateText, find_variables, render
from sdg_prefect.rows import set_column, to_dataset, to_table, values_of, well_formed

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Kind = Literal["text", "integer", "number", "boolean", "list"]

_NOTHING = ("", "None", "null")
_INT64 = 2**63


@block("ComputeColumn")
class ComputeColumn(Block):
    """Fill a column with what a Jinja template makes of the row, as text or as a value of another type.

    The template runs in a sandbox: it sees the row and nothing else. Where it is not text, an empty result is a null, and a
    row whose result is no value of the type is rejected.
    """

    family: ClassVar[str] = "Sample and compute values"
    example: ClassVar[Example] = Example(
        config={"output_col": "words", "template": "{{ text.split() | length }}", "type": "integer"},
        rows=[{"text": "Bees dance."}],
        output=[{"text": "Bees dance.", "words": 2}],
    )

    output_col: str = Field(min_length=1)
    """Column that gets the value."""
    template: TemplateText
    """The template, such as ``{{ price * 2 }}`` or ``{{ first }} {{ last }}``."""
    type: Kind = "text"
    """The type of the column. A ``list`` is one of texts: the template writes JSON, as ``{{ words | tojson }}`` does."""

    def reads(self) -> Iterable[Need]:
        return needs_of(find_variables(self.template))

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Fill the template for each row."""
        import pyarrow as pa

        table = to_table(rows)
        kept: list[int] = []
        values: list[Any] = []
        for place, row in enumerate(values_of(table, {need.column for need in self.reads()})):
            text = ""
            try:
                text = render(self.template, row)
                values.append(_value(text, self.type))
                kept.append(place)
            except TemplateError as error:
                context.reject(place, "TemplateFailed", str(error))
            except ValueError:
                context.reject(place, "WrongType", f"the template gives {text!r}, which is no {self.type}.", raw=text)
        kinds = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
        column = pa.array(values, kinds.get(self.type, pa.list_(pa.string())))
        return to_dataset(set_column(table.take(pa.array(kept, pa.int64())), self.output_col, column))


def _value(text: str, kind: Kind) -> Any:
    """Read what a template gives.

    Raises:
        ValueError: It is no value of the type.
    """
    said = text.strip()
    if kind == "text":
        return well_formed(text)
    if said in _NOTHING:
        return None
    match kind:
        case "integer":
            return _whole(said)
        case "number":
            number = float(said)
            if math.isinf(number):
                raise ValueError(said)
            return number
        case "boolean":
            if said.lower() not in ("true", "yes", "1", "false", "no", "0"):
                raise ValueError(said)
            return said.lower() in ("true", "yes", "1")
    return _texts(said)


def _whole(said: str) -> int:
    number = int(said) if said.lstrip("+-").isdecimal() else float(said)
    if not float(number).is_integer() or abs(number) >= _INT64:
        raise ValueError(said)
    return int(number)


def _texts(said: str) -> list[str | None]:
    items = well_formed(json.loads(said))
    if not isinstance(items, list):
        raise ValueError(said)  # noqa: TRY004 - it is the text that is wrong
    return [item if isinstance(item, str | None) else json.dumps(item) for item in items]
