"""Take columns out of what models and agents replied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Columns
from sdg_prefect.blocks.conversation import trace_message_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.wired import Names, WiredBlock
from sdg_prefect.rows import set_column, to_dataset, to_table

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Found = Mapping[str, Any]
"""What was found in one reply, by the name of the field; one that is not in it is missing."""


class Extractor(WiredBlock):
    """The way from a column of replies, or of lists of them, to a column for each field.

    A row of several replies gives a row for each of them, or with ``expand_lists: false`` one row with lists. A reply that holds
    none of the fields is left out, and a row without another one is rejected.
    """

    makes_rows: ClassVar[bool] = True

    input_cols: Names = Field(min_length=1)
    """The column of replies."""
    output_cols: Names = ()
    """Without effect: the columns are named by ``field_prefix``."""
    expand_lists: bool = True
    """False to keep the replies of a row together, as lists in one row."""
    field_prefix: str = ""
    """What the names of the columns begin with; the name of the block and ``_`` if not given."""

    @model_validator(mode="after")
    def _takes_something(self) -> Extractor:
        if not self._fields():
            raise PydanticCustomError("extractor", "takes nothing out of the replies; set one of its 'extract' fields to true.")
        return self

    def _fields(self) -> list[str]:
        """Name what is taken out of a reply."""
        raise TypeError(f"{type(self).__name__} names no fields")

    def _kinds(self, reply: pa.DataType) -> Mapping[str, pa.DataType]:
        """Return the type of each field, given that of a reply."""
        raise TypeError(f"{type(self).__name__} names no types")

    def _find(self, reply: Mapping[str, Any], known: Iterable[str]) -> Found:
        """Find fields in a reply whose keys are known: a key that was absent from it is null all the same."""
        raise TypeError(f"{type(self).__name__} finds nothing")

    def reads(self) -> Iterable[str]:
        return self.input_cols[:1]

    def writes(self) -> Iterable[str]:
        prefix = self.field_prefix or f"{self.block_name}_"
        return [f"{prefix}{field}" for field in self._fields()]

    def key_parts(self, models: Mapping[str, str]) -> dict[str, Any]:
        return {**super().key_parts(models), "columns": list(self.writes())}

    def doubts(self, before: Columns) -> Iterable[str]:
        yield from super().doubts(before)
        if len(self.input_cols) > 1:
            yield f"only the first of 'input_cols' is used: '{self.input_cols[0]}'."

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Take the fields out."""
        import pyarrow as pa

        table = to_table(rows)
        column = table.column(self.input_cols[0])
        has_lists = pa.types.is_list(column.type) or pa.types.is_large_list(column.type)
        reply = column.type.value_type if has_lists else column.type
        known = [field.name for field in reply] if pa.types.is_struct(reply) else []
        parents: list[int] = []
        found: list[Found] = []
        for place, cell in enumerate(column.to_pylist()):
            replies = [one for one in (cell if has_lists else [cell]) or () if isinstance(one, Mapping)]
            taken = [values for values in (self._find(one, known) for one in replies) if values]
            if not taken:
                context.reject(place, "NothingFound", self._why_not(replies))
                continue
            if has_lists and not self.expand_lists:
                taken = [{name: [one[name] for one in taken if name in one] for name in self._fields()}]
            parents += [place] * len(taken)
            found += taken
        made = table.take(pa.array(parents, pa.int64()))
        kinds = self._kinds(reply)
        for name, target in zip(self._fields(), self.writes(), strict=True):
            kind = pa.list_(kinds[name]) if has_lists and not self.expand_lists else kinds[name]
            made = set_column(made, target, pa.array([values.get(name) for values in found], kind))
        return to_dataset(made)

    def _why_not(self, replies: list[Mapping[str, Any]]) -> str:
        if not replies:
            return f"column '{self.input_cols[0]}' holds no reply."
        return f"no reply in '{self.input_cols[0]}' has {' or '.join(self._fields())}."


@block("LLMResponseExtractorBlock")
class LLMResponseExtractorBlock(Extractor):
    """Take content, reasoning and tool calls out of a column of replies, as ``LLMChatBlock`` makes it.

    Several replies give several rows. A reply without content has an empty text. A row whose replies hold none of what is taken
    is rejected.
    """

    family: ClassVar[str] = "Parse a column"
    example: ClassVar[Example] = Example(
        config={"input_cols": "replies", "field_prefix": "said_"},
        rows=[{"replies": [{"role": "assistant", "content": "Bees."}]}],
        output=[{"replies": [{"role": "assistant", "content": "Bees."}], "said_content": "Bees."}],
    )

    extract_content: bool = True
    """Takes what the model said, into ``content``."""
    extract_reasoning_content: bool = False
    """Takes what it thought before, into ``reasoning_content``; null where a reply has content but no reasoning."""
    extract_tool_calls: bool = False
    """Takes the calls of tools, into ``tool_calls``; an empty list where there are none."""

    def _fields(self) -> list[str]:
        asked = {
            "content": self.extract_content,
            "reasoning_content": self.extract_reasoning_content,
            "tool_calls": self.extract_tool_calls,
        }
        return [name for name, is_asked in asked.items() if is_asked]

    def _kinds(self, reply: pa.DataType) -> Mapping[str, pa.DataType]:
        import pyarrow as pa

        calls = {field.name: field.type for field in reply}.get("tool_calls") if pa.types.is_struct(reply) else None
        return {"content": pa.string(), "reasoning_content": pa.string(), "tool_calls": pa.null() if calls is None else calls}

    def _find(self, reply: Mapping[str, Any], known: Iterable[str]) -> Found:
        empty = {"content": "", "tool_calls": []}
        found = {name: reply[name] if reply[name] is not None else empty.get(name) for name in self._fields() if name in known}
        return {name: value for name, value in found.items() if value is not None}


@block("AgentResponseExtractorBlock")
class AgentResponseExtractorBlock(Extractor):
    """Take the last words, the session and the trace of tools out of what agents replied, as ``AgentBlock`` makes it.

    A row whose reply holds none of what is taken is rejected.
    """

    family: ClassVar[str] = "Parse a column"
    example: ClassVar[Example] = Example(
        config={"input_cols": "reply", "field_prefix": "agent_"},
        rows=[{"reply": {"messages": [{"role": "assistant", "content": "Bees."}]}}],
        output=[{"reply": {"messages": [{"role": "assistant", "content": "Bees."}]}, "agent_text": "Bees."}],
    )

    extract_text: bool = True
    """Takes the last message of the agent that is not empty, into ``text``."""
    extract_session_id: bool = False
    """Takes the id of the session, into ``session_id``."""
    extract_tool_trace: bool = False
    """Takes the messages that call tools and those that hold their results, into ``tool_trace``."""

    def _fields(self) -> list[str]:
        asked = {"text": self.extract_text, "session_id": self.extract_session_id, "tool_trace": self.extract_tool_trace}
        return [name for name, is_asked in asked.items() if is_asked]

    def _kinds(self, reply: pa.DataType) -> Mapping[str, pa.DataType]:
        import pyarrow as pa

        return {"text": pa.string(), "session_id": pa.string(), "tool_trace": _messages_type(reply)}

    def _find(self, reply: Mapping[str, Any], known: Iterable[str]) -> Found:
        messages = [message for message in reply.get("messages") or () if isinstance(message, Mapping)]
        said = [message.get("content") or "" for message in messages if message.get("role") == "assistant"]
        trace = [message for message in messages if message.get("role") == "tool" or _calls_tools(message)]
        found = {
            "text": next((text for text in reversed(said) if text), said[-1] if said else None),
            "session_id": (reply.get("custom_outputs") or {}).get("session_id"),
            "tool_trace": trace or None,
        }
        return {name: found[name] for name in self._fields() if found[name] is not None}


def _calls_tools(message: Mapping[str, Any]) -> bool:
    return message.get("role") == "assistant" and bool(message.get("tool_calls"))


def _messages_type(reply: pa.DataType) -> pa.DataType:
    """Return the type of the messages of a reply, which need not come from ``AgentBlock``."""
    import pyarrow as pa

    fields = {field.name: field.type for field in reply} if pa.types.is_struct(reply) else {}
    return fields.get("messages", pa.list_(trace_message_type()))
