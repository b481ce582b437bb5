"""Check calls of tools against the tools that a row offers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.offered_tools import Unfit, argument_schemas, arguments_of, listed
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.schemas import ReplySchema
from sdg_prefect.rows import to_dataset, to_table

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

_ADD = '[{"name": "add", "parameters": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}]'
_TWO = '[{"name": "add", "arguments": {"n": 2}}]'
_WORD = '[{"name": "add", "arguments": {"n": "two"}}]'


@block("CheckToolCalls")
class CheckToolCalls(Block):
    """Check that calls name tools that the row offers, with arguments that match the JSON Schema of their parameters.

    It is the format check of APIGen (Liu et al., 2024, arXiv:2406.18518). Calls and tools can be lists as OpenAI has them, with
    or without ``function`` around name and arguments, or JSON text. ``keep: fitting`` leaves out rows whose calls do not fit. A
    row whose tools cannot be read is rejected.
    """

    family: ClassVar[str] = "Judge and choose"
    leaves_out: ClassVar[Literal["filtered"]] = "filtered"
    example: ClassVar[Example] = Example(
        config={"calls_col": "calls", "tools_col": "tools"},
        rows=[{"tools": _ADD, "calls": _TWO}, {"tools": _ADD, "calls": _WORD}],
        output=[
            {"tools": _ADD, "calls": _TWO, "fits": True, "misfit": None},
            {"tools": _ADD, "calls": _WORD, "fits": False, "misfit": "add: $.n: 'two' is not of type 'integer'"},
        ],
    )

    calls_col: str = Field(min_length=1)
    """Column with the calls: a list of them, one, or JSON text of either. Each has a ``name`` and ``arguments``, an object or the
    JSON text of one. Or the messages of a conversation, whose calls are all checked."""
    tools_col: str = Field(min_length=1)
    """Column with the tools: each with its ``name`` and ``parameters``, a JSON Schema; one without takes no arguments. Take JSON
    text where the tools of the rows differ: a column of objects gives each of them the keys of all others."""
    output_col: str = Field(default="fits", min_length=1)
    """Column that is true where all calls fit."""
    reason_col: str | None = "misfit"
    """Column that says what is wrong with the first call that does not; null for none."""
    may_be_empty: bool = False
    """True where a row without a call fits too, as where no tool is of use."""
    allow_unknown_arguments: bool = False
    """True to let arguments pass that the parameters do not name, as JSON Schema does; where a schema itself says
    ``additionalProperties`` that counts."""
    keep: Literal["all", "fitting"] = "all"
    """Which rows are kept."""

    def reads(self) -> Iterable[str]:
        return (self.calls_col, self.tools_col)

    def writes(self) -> Iterable[str]:
        return [name for name in (self.output_col, self.reason_col) if name is not None]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Check the calls of each row."""
        import pyarrow as pa

        table = to_table(rows)
        expansion = Expansion(tuple(self.writes()))
        for place, (calls, tools) in enumerate(zip(*(table.column(name).to_pylist() for name in self.reads()), strict=True)):
            try:
                offered = self._offered(tools)
            except Unfit as error:
                context.reject(place, "BadTools", f"'{self.tools_col}': {error}", raw=str(tools))
                continue
            reason = self._misfit(calls, offered)
            if reason is None or self.keep == "all":
                expansion.add(place, [reason is None, reason][: len(expansion.columns)])
        return to_dataset(expansion.table(table, [pa.bool_(), pa.string()]))

    def _offered(self, value: Any) -> dict[str, ReplySchema]:
        """Return the schema of the arguments of each tool.

        Raises:
            Unfit: There is no tool, or one cannot be read.
        """
        offered = argument_schemas(value, allow_unknown=self.allow_unknown_arguments)
        if not offered:
            raise Unfit("there are no tools.")
        return offered

    def _misfit(self, value: Any, offered: Mapping[str, ReplySchema]) -> str | None:
        """Say what is wrong with the first call that does not fit; None where all do."""
        try:
            calls = list(_calls_in(value))
            if not calls:
                return None if self.may_be_empty else "there is no call"
            for call in calls:
                arguments_of(call, offered)
        except Unfit as error:
            return str(error)
        return None


def _calls_in(value: Any) -> Iterator[Any]:
    """Give the calls that a cell holds; of messages those that they hold."""
    for item in listed(value):
        if isinstance(item, Mapping) and "role" in item:
            yield from listed(item.get("tool_calls"))
        else:
            yield item
