"""Make lists of chat messages, as chat blocks send them and trainers read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from jinja2 import TemplateError
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Need, needs_of
from sdg_prefect.blocks.conversation import message_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.images import parts_type, with_images
from sdg_prefect.blocks.offered_tools import Unfit
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.templates import variables_in
from sdg_prefect.blocks.turns import Conversation, Turn
from sdg_prefect.rows import to_dataset, to_table, values_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


@block("FormatMessages")
class FormatMessages(Block):
    """Make a list of chat messages of a row, as chat blocks send it and trainers read it; empty messages are left out.

    With ``images_col`` contents have parts, as OpenAI has them, and the images stand in the first message of the user. Where a
    turn calls tools, or the history does, messages have ``tool_calls``, and ``tool_call_id`` and ``name`` of the tool that
    returned something; a row whose results do not fit to its calls is rejected.
    """

    family: ClassVar[str] = "Data for training"
    example: ClassVar[Example] = Example(
        config={
            "output_col": "messages",
            "turns": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ answer }}"}],
        },
        rows=[{"question": "Who dances?", "answer": "Bees."}],
        output=[
            {
                "question": "Who dances?",
                "answer": "Bees.",
                "messages": [{"role": "user", "content": "Who dances?"}, {"role": "assistant", "content": "Bees."}],
            }
        ],
    )

    output_col: str = Field(default="messages", min_length=1)
    """Column that gets the messages."""
    turns: tuple[Turn, ...] = ()
    """The messages, in order, each with its ``role`` and its ``content``, a template. A turn of the ``assistant`` may have a
    ``tool_calls_col``; one of the role ``tool`` has a ``results_col``, or the result of the next call as ``content``."""
    history_col: str | None = None
    """Column with messages that come before these, or with what ``MCPAgentBlock`` or ``AgentBlock`` replied."""
    images_col: str | None = None
    """Column with the address of an image, or a list of them: ``https://...`` or ``data:image/png;base64,...``."""

    @model_validator(mode="after")
    def _goes_together(self) -> FormatMessages:
        if not self.turns and self.history_col is None:
            raise PydanticCustomError("turns", "'turns' has to have one message at least, where there is no 'history_col'.")
        if self.images_col is not None and any(turn.is_about_tools for turn in self.turns):
            raise PydanticCustomError("turns", "'images_col' and turns that are about tools do not go together.")
        if self.images_col is not None and all(turn.role != "user" for turn in self.turns):
            raise PydanticCustomError("turns", "'images_col' needs a turn of the user, where the images stand.")
        if self.images_col is not None and self.history_col is not None:
            raise PydanticCustomError("turns", "'images_col' and 'history_col' do not go together.")
        return self

    def reads(self) -> Iterable[Need]:
        columns = [name for name in (self.history_col, self.images_col) if name is not None]
        columns += [name for turn in self.turns for name in turn.columns()]
        return [*map(Need, dict.fromkeys(columns)), *needs_of(variables_in(turn.content for turn in self.turns))]

    def writes(self) -> Iterable[str]:
        return (self.output_col,)

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Fill the templates of each row."""
        table = to_table(rows)
        expansion = Expansion((self.output_col,))
        for place, row in enumerate(values_of(table, {need.column for need in self.reads()})):
            try:
                messages = self._messages(row)
            except TemplateError as error:
                context.reject(place, "TemplateFailed", str(error))
                continue
            except Unfit as error:
                context.reject(place, "BadMessages", str(error))
                continue
            if messages:
                expansion.add(place, [messages])
            else:
                context.reject(place, "NoMessages", "every message of the row is empty.")
        return to_dataset(expansion.table(table, self._kind(table)))

    def _kind(self, table: pa.Table) -> pa.DataType:
        """Return the type of the messages, which depends on the fields and on the type of the history alone."""
        import pyarrow as pa

        if self.images_col is not None:
            return parts_type()
        history = None if self.history_col is None else table.schema.field(self.history_col).type
        about_tools = any(turn.is_about_tools for turn in self.turns) or (history is not None and _knows_tools(history))
        return pa.list_(message_type(has_tools=about_tools))

    def _messages(self, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        said = Conversation(keeps_empty=self.images_col is not None)
        if self.history_col is not None:
            said.begin(row[self.history_col])
        for turn in self.turns:
            said.say(turn, row)
        return list(said.messages) if self.images_col is None else with_images(said.messages, row[self.images_col])


def _knows_tools(history: pa.DataType) -> bool:
    """True where the type of a history has a place for calls of tools, or for what came of them."""
    import pyarrow as pa

    if pa.types.is_list(history) or pa.types.is_large_list(history):
        return _knows_tools(history.value_type)
    fields = {field.name: field.type for field in history} if pa.types.is_struct(history) else {}
    if "messages" in fields:
        return _knows_tools(fields["messages"])
    return bool({"tool_calls", "tool_call_id"} & set(fields))
