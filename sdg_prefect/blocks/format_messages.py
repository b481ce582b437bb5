"""Make lists of chat messages, as chat blocks send them and trainers read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from jinja2 import TemplateError
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Block, Need, needs_of
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.templates import TemplateText, render, variables_in
from sdg_prefect.frozen import Frozen
from sdg_prefect.rows import to_dataset, to_table, values_of

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context

Message = Mapping[str, Any]


class Turn(Frozen):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    """Who says it."""
    content: TemplateText
    """What is said: a Jinja template over the row."""


def message_type() -> pa.DataType:
    """Return the type of a column of messages whose contents are texts."""
    import pyarrow as pa

    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def _parts_type() -> pa.DataType:
    """Return the type of a column of messages whose contents have parts."""
    import pyarrow as pa

    url = pa.struct([("url", pa.string())])
    part = pa.struct([("type", pa.string()), ("text", pa.string()), ("image_url", url)])
    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.list_(part))]))


@block("FormatMessages")
class FormatMessages(Block):
    """Make a list of chat messages of a row, as chat blocks send it and trainers read it; empty messages are left out.

    With ``images_col`` contents have parts, as OpenAI has them, and the images stand in the first message of the user.
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
    turns: tuple[Turn, ...] = Field(min_length=1)
    """The messages, in order, each with its ``role`` and its ``content``, a template."""
    history_col: str | None = None
    """Column with messages that come before these."""
    images_col: str | None = None
    """Column with the address of an image, or a list of them: ``https://...`` or ``data:image/png;base64,...``."""

    @model_validator(mode="after")
    def _images_have_a_place(self) -> FormatMessages:
        if self.images_col is not None and all(turn.role != "user" for turn in self.turns):
            raise PydanticCustomError("turns", "'images_col' needs a turn of the user, where the images stand.")
        if self.images_col is not None and self.history_col is not None:
            raise PydanticCustomError("turns", "'images_col' and 'history_col' do not go together.")
        return self

    def reads(self) -> Iterable[Need]:
        columns = [name for name in (self.history_col, self.images_col) if name is not None]
        return [*map(Need, columns), *needs_of(variables_in(turn.content for turn in self.turns))]

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
            if messages:
                expansion.add(place, [messages])
            else:
                context.reject(place, "NoMessages", "every message of the row is empty.")
        return to_dataset(expansion.table(table, message_type() if self.images_col is None else _parts_type()))

    def _messages(self, row: Mapping[str, Any]) -> list[Message]:
        filled = [{"role": turn.role, "content": _filled(turn.content, row)} for turn in self.turns]
        if self.images_col is not None:
            return _with_images(filled, row[self.images_col])
        before = [] if self.history_col is None else row[self.history_col] or []
        said = [*before, *filled]
        return [{"role": one.get("role"), "content": one["content"]} for one in said if one.get("content")]


def _filled(template: str, row: Mapping[str, Any]) -> str:
    return render(template, {name: "" if value is None else value for name, value in row.items()}).strip()


def _with_images(messages: Sequence[Message], images: Any) -> list[Message]:
    """Give the contents parts, and put the images into the first message of the user."""
    addresses = images if isinstance(images, list) else [images]
    shown = [{"type": "image_url", "text": None, "image_url": {"url": str(one)}} for one in addresses if one]
    first = next(number for number, message in enumerate(messages) if message["role"] == "user")
    made: list[Message] = []
    for number, message in enumerate(messages):
        parts = [{"type": "text", "text": message["content"], "image_url": None}] if message["content"] else []
        parts += shown if number == first else []
        if parts:
            made.append({"role": message["role"], "content": parts})
    return made
