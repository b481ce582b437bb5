"""Send a column of chat messages to a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sdg_prefect.blocks.base import Block, Columns
from sdg_prefect.blocks.chat_parameters import ChatParameters
from sdg_prefect.blocks.conversation import without_nulls
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion, reject_failure
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import KNOWN, GenKwargs, normal
from sdg_prefect.blocks.shared_prefix import shared_messages
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.rows import ids_of, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


class MessagesBlock(Block):
    """The way of chat messages from a column to a model and of its replies to a column; one row stays one row."""

    family: ClassVar[str] = "Ask a model"

    def _send(
        self, rows: Dataset, context: Context, source: str, target: str, params: Mapping[str, Any], thoughts: str | None = None
    ) -> Dataset:
        table = to_table(rows)
        requests, places = self._ask(table, source, params, context)
        expansion = Expansion((target, *([thoughts] if thoughts else [])))
        for place, answer in zip(places, context.complete(requests), strict=True):
            if isinstance(answer, Failure):
                reject_failure(context, place, answer)
            else:
                expansion.add(place, [self._value(answer), self._thoughts(answer)][: len(expansion.columns)])
        return to_dataset(expansion.table(table, [self._kind()] * len(expansion.columns)))

    def _kind(self) -> pa.DataType:
        """Return the type of the column of replies."""
        import pyarrow as pa

        return pa.string()

    def _ask(self, table: pa.Table, source: str, params: Mapping[str, Any], context: Context) -> tuple[list[Request], list[int]]:
        (model_id,) = self.model_ids()
        requests: list[Request] = []
        places = []
        for place, (row_id, messages) in enumerate(zip(ids_of(table), table.column(source).to_pylist(), strict=True)):
            if reason := _why_not(messages):
                context.reject(place, "BadMessages", f"column '{source}' {reason}.")
                continue
            sent = [{key: without_nulls(value) for key, value in message.items() if value is not None} for message in messages]
            requests.append(Request(model_id, row_id, messages=sent, params=params))
            places.append(place)
        shared = shared_messages([request.messages or () for request in requests])
        return [replace(request, shared_prefix=shared) for request in requests], places

    def _thoughts(self, answer: Completion) -> Any:
        return answer.choices[0].reasoning if answer.choices else None

    def _value(self, answer: Completion) -> Any:
        return answer.choices[0].text or "" if answer.choices else ""


class NamedModelBlock(MessagesBlock):
    """A block that names its model."""

    model_id: str = Field(min_length=1)
    """The model, by the name that ``models:`` or the endpoint knows."""

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)


def _why_not(messages: Any) -> str:
    """Say why a value is not a list of chat messages; empty if it is."""
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        return "holds no list of messages here"
    if not all(isinstance(message, Mapping) and message.get("role") for message in messages):
        return "holds a message without a role"
    return ""


@block("LLMMessagesBlock")
class LLMMessagesBlock(NamedModelBlock):
    """Send a column of chat messages to a model and keep its reply; with ``n`` above 1 a list of replies.

    With ``n`` given and a temperature of 0 the temperature becomes 0.7, since equal replies are of no use.
    """

    example: ClassVar[Example] = Example(
        config={"model_id": "teacher", "input_col": "messages", "output_col": "reply"},
        rows=[{"messages": [{"role": "user", "content": "Who dances?"}]}],
        replies={"Who dances?": "Bees."},
        output=[{"messages": [{"role": "user", "content": "Who dances?"}], "reply": "Bees."}],
    )

    input_col: str = Field(min_length=1)
    """Column of message lists: ``[{role, content}, ...]``."""
    output_col: str = Field(min_length=1)
    """Column that gets the reply."""
    reasoning_col: str | None = None
    """Column that gets what a reasoning model thought before its reply, where the server tells; a list beside a list."""
    model_prompt: str | None = None
    """Without effect: the server applies the template of its model."""
    gen_kwargs: GenKwargs = Field(default_factory=dict)
    """Sampling parameters, over the defaults temperature 0 and max_tokens 4096."""

    def reads(self) -> Iterable[str]:
        return (self.input_col,)

    def writes(self) -> Iterable[str]:
        return (self.output_col,) if self.reasoning_col is None else (self.output_col, self.reasoning_col)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Send and keep."""
        params = {"temperature": 0, "max_tokens": 4096, **self.gen_kwargs}
        if params.get("n") and params["temperature"] <= 0:
            params["temperature"] = 0.7
        return self._send(rows, context, self.input_col, self.output_col, params, self.reasoning_col)

    @property
    def _gives_lists(self) -> bool:
        return bool(self.gen_kwargs.get("n", 1) > 1)

    def _kind(self) -> pa.DataType:
        import pyarrow as pa

        return pa.list_(pa.string()) if self._gives_lists else pa.string()

    def _thoughts(self, answer: Completion) -> Any:
        return [choice.reasoning for choice in answer.choices] if self._gives_lists else super()._thoughts(answer)

    def _value(self, answer: Completion) -> Any:
        return [choice.text or "" for choice in answer.choices] if self._gives_lists else super()._value(answer)


class OpenAIChat(NamedModelBlock, ChatParameters):
    """Send a column of chat messages to a model and keep the first reply.

    Parameters stand beside the columns; those in ``gen_kwargs`` win.
    """

    example: ClassVar[Example] = Example(
        config={"model_id": "teacher", "input_cols": "messages", "output_cols": "reply", "max_tokens": 100},
        rows=[{"messages": [{"role": "user", "content": "Who dances?"}]}],
        replies={"Who dances?": "Bees."},
        output=[{"messages": [{"role": "user", "content": "Who dances?"}], "reply": "Bees."}],
    )

    input_cols: tuple[str, ...] | str = Field(min_length=1)
    """The one column of message lists."""
    output_cols: tuple[str, ...] | str = Field(min_length=1)
    """The one column that gets the reply."""
    gen_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    """Sampling parameters over the block's own; unknown ones are ignored with a warning."""
    n: int | None = Field(default=None, ge=1)
    """How many replies the model gives; only the first is kept."""

    def reads(self) -> Iterable[str]:
        return (_only(self.input_cols),)

    def writes(self) -> Iterable[str]:
        return (_only(self.output_cols),)

    def doubts(self, before: Columns) -> Iterable[str]:
        unknown = [name for name in self.gen_kwargs if name not in KNOWN]
        if unknown:
            yield f"unknown sampling parameter(s) without effect: {', '.join(unknown)}."
        for name in ("input_cols", "output_cols"):
            value = getattr(self, name)
            if not isinstance(value, str) and len(value) > 1:
                yield f"only the first of '{name}' is used: '{value[0]}'."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Send and keep."""
        params = self.parameters()
        params |= {name: value for name, value in self.gen_kwargs.items() if name in KNOWN}
        return self._send(rows, context, _only(self.input_cols), _only(self.output_cols), normal(params))


def _only(columns: tuple[str, ...] | str) -> str:
    return columns if isinstance(columns, str) else columns[0]


@block("OpenAIChatBlock")
class OpenAIChatBlock(OpenAIChat):
    """Send a column of chat messages to a model and keep the first reply."""


@block("OpenAIAsyncChatBlock")
class OpenAIAsyncChatBlock(OpenAIChat):
    """The same as OpenAIChatBlock: here every call runs beside the others."""
