"""The way of chat messages from a column to a model, and of its replies to columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sdg_prefect.blocks.base import Block
from sdg_prefect.blocks.conversation import without_nulls
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.offered_tools import Unfit, offering, tools_in
from sdg_prefect.blocks.shared_prefix import shared_messages
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ids_of, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@dataclass(frozen=True, slots=True)
class Kept:
    """A column that is made of a reply."""

    column: str
    kind: pa.DataType
    value: Callable[[Completion], Any]


class MessagesBlock(Block):
    """The way of chat messages from a column to a model and of its replies to columns; one row stays one row."""

    family: ClassVar[str] = "Ask a model"

    tools_col: str | None = Field(default=None, min_length=1)
    """Column with the tools that the model may call, where each row has its own: a list of them as OpenAI has it, or JSON text.
    A row without any offers none."""

    def _send(self, rows: Dataset, context: Context, source: str, params: Mapping[str, Any], kept: Sequence[Kept]) -> Dataset:
        table = to_table(rows)
        requests, places = self._ask(table, source, params, context)
        expansion = Expansion(tuple(one.column for one in kept))
        for place, answer in zip(places, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                reject_failure(context, place, answer)
            else:
                expansion.add(place, [one.value(answer) for one in kept])
        return to_dataset(expansion.table(table, [one.kind for one in kept]))

    def _with_tools(self, *columns: str) -> Iterable[str]:
        """Name columns, and that of the tools."""
        return dict.fromkeys((*columns, *([self.tools_col] if self.tools_col else [])))

    def _ask(self, table: pa.Table, source: str, params: Mapping[str, Any], context: Context) -> tuple[list[Request], list[int]]:
        (model_id,) = self.model_ids()
        requests: list[Request] = []
        places = []
        tools = table.column(self.tools_col).to_pylist() if self.tools_col else [None] * table.num_rows
        cells = zip(ids_of(table), table.column(source).to_pylist(), tools, strict=True)
        for place, (row_id, messages, offered) in enumerate(cells):
            if reason := _why_not(messages):
                context.reject(place, "BadMessages", f"column '{source}' {reason}.")
                continue
            try:
                asked = params if self.tools_col is None else offering(params, tools_in(offered))
            except Unfit as error:
                context.reject(place, "BadTools", f"'{self.tools_col}': {error}", raw=str(offered))
                continue
            sent = [{key: without_nulls(value) for key, value in message.items() if value is not None} for message in messages]
            requests.append(Request(model_id, row_id, messages=sent, params=asked))
            places.append(place)
        shared = shared_messages([request.messages or () for request in requests])
        return [replace(request, shared_prefix=shared) for request in requests], places


def _why_not(messages: Any) -> str:
    """Say why a value is not a list of chat messages; empty if it is."""
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        return "holds no list of messages here"
    if not all(isinstance(message, Mapping) and message.get("role") for message in messages):
        return "holds a message without a role"
    if any(message.get("content") is None and message["role"] != "assistant" for message in messages):
        return "holds a message without content"
    return ""
