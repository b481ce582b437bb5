"""Send a column of chat messages to a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.chat_parameters import ChatParameters
from sdg_prefect.blocks.conversation import plain_tool_calls, tool_calls_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import KNOWN, GenKwargs, normal
from sdg_prefect.blocks.sending import Kept, MessagesBlock
from sdg_prefect.models.completion import Choice, Completion

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


class NamedModelBlock(MessagesBlock):
    """A block that names its model, and keeps the texts and calls of its replies in columns of their own."""

    model_id: str = Field(min_length=1)
    """The model, by the name that ``models:`` or the endpoint knows."""
    tool_calls_col: str | None = Field(default=None, min_length=1)
    """Column that gets the calls of tools in the reply, as OpenAI has them: a list, which is empty where none is called."""

    def model_ids(self) -> Iterable[str]:
        return (self.model_id,)

    def doubts(self, before: Columns) -> Iterable[str]:
        yield from super().doubts(before)
        if (self.tools_col or self._says("tools")) and self.tool_calls_col is None:
            yield "the model may call tools, and its calls are not kept; name a column for them with 'tool_calls_col'."
        if self.tools_col and self._says("tools"):
            yield "'tools' has no effect beside 'tools_col': each row offers its own."

    def _says(self, parameter: str) -> bool:
        """True where a sampling parameter is given."""
        raise TypeError(f"{type(self).__name__} does not say its parameters")

    def _texts(self, text_col: str, thoughts_col: str | None, *, lists: bool) -> list[Kept]:
        """Return the columns of a reply: of its first choice, or lists over all of them."""
        import pyarrow as pa

        parts: tuple[tuple[str | None, pa.DataType, Callable[[Choice], Any]], ...] = (
            (text_col, pa.string(), lambda choice: choice.text or ""),
            (thoughts_col, pa.string(), lambda choice: choice.reasoning),
            (self.tool_calls_col, tool_calls_type(), lambda choice: plain_tool_calls(choice.tool_calls) or []),
        )
        return [
            Kept(name, pa.list_(kind) if lists else kind, _of_all(part) if lists else _of_first(part))
            for name, kind, part in parts
            if name is not None
        ]


def _of_all(part: Callable[[Choice], Any]) -> Callable[[Completion], Any]:
    return lambda answer: [part(choice) for choice in answer.choices]


def _of_first(part: Callable[[Choice], Any]) -> Callable[[Completion], Any]:
    return lambda answer: part(answer.choices[0] if answer.choices else Choice(None))


@block("LLMMessagesBlock")
class LLMMessagesBlock(NamedModelBlock):
    """Send a column of chat messages to a model and keep its reply; with ``n`` above 1 a list of replies.

    With ``n`` given and a temperature of 0 the temperature becomes 0.7, since equal replies are of no use. Tools that the model
    may call are named in ``gen_kwargs``, or in a column; a reply that calls some has an empty text as a rule.
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
        return self._with_tools(self.input_col)

    def writes(self) -> Iterable[str]:
        return [name for name in (self.output_col, self.reasoning_col, self.tool_calls_col) if name is not None]

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Send and keep."""
        params = {"temperature": 0, "max_tokens": 4096, **self.gen_kwargs}
        if params.get("n") and params["temperature"] <= 0:
            params["temperature"] = 0.7
        gives_lists = self.gen_kwargs.get("n", 1) > 1
        kept = self._texts(self.output_col, self.reasoning_col, lists=gives_lists)
        return self._send(rows, context, self.input_col, params, kept)

    def _says(self, parameter: str) -> bool:
        return self.gen_kwargs.get(parameter) is not None


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
        return self._with_tools(_only(self.input_cols))

    def writes(self) -> Iterable[str]:
        return (_only(self.output_cols), *([self.tool_calls_col] if self.tool_calls_col else []))

    def doubts(self, before: Columns) -> Iterable[str]:
        yield from super().doubts(before)
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
        kept = self._texts(_only(self.output_cols), None, lists=False)
        return self._send(rows, context, _only(self.input_cols), normal(params), kept)

    def _says(self, parameter: str) -> bool:
        return (self.gen_kwargs.get(parameter) or getattr(self, parameter, None)) is not None


def _only(columns: Sequence[str] | str) -> str:
    return columns if isinstance(columns, str) else columns[0]


@block("OpenAIChatBlock")
class OpenAIChatBlock(OpenAIChat):
    """Send a column of chat messages to a model and keep the first reply."""


@block("OpenAIAsyncChatBlock")
class OpenAIAsyncChatBlock(OpenAIChat):
    """The same as OpenAIChatBlock: here every call runs beside the others."""
