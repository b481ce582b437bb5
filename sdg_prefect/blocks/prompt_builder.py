"""Make a column of prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from jinja2 import TemplateError
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.base import Need
from sdg_prefect.blocks.conversation import prompt_type
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.expansion import Expansion
from sdg_prefect.blocks.prompts import PromptFile
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.wired import OneName, WiredBlock
from sdg_prefect.errors import did_you_mean
from sdg_prefect.rows import to_dataset, to_table, values_of

if TYPE_CHECKING:
    from datasets import Dataset

    from sdg_prefect.blocks.context import Context


def _as_mapping(value: Any) -> Any:
    names = [value] if isinstance(value, str) else value
    return dict(zip(names, names, strict=True)) if isinstance(names, (list, tuple)) else {} if names is None else names


Variables = Annotated[Mapping[str, str], BeforeValidator(_as_mapping, json_schema_input_type=str | list[str] | dict[str, str])]
"""Columns whose names are those of variables too, or a mapping of column to variable."""


@block("PromptBuilderBlock")
class PromptBuilderBlock(WiredBlock):
    """Fill a prompt file with each row, and keep what comes out as a column of chat messages.

    A row that does not fit the prompt is rejected. Messages that come out empty are left out.
    """

    family: ClassVar[str] = "Ask a model"
    example: ClassVar[Example] = Example(
        config={"input_cols": "text", "output_cols": "messages", "prompt_config_path": "ask.yaml"},
        files={"ask.yaml": '- role: user\n  content: "Ask a question about this: {{ text }}"\n'},
        rows=[{"text": "Bees dance."}],
        output=[{"text": "Bees dance.", "messages": [{"role": "user", "content": "Ask a question about this: Bees dance."}]}],
    )

    input_cols: Variables = Field(default_factory=dict)
    """Columns that the prompt uses, as a list, or as a mapping of column to the variable that it fills."""
    output_cols: OneName
    """The one column that gets the messages."""
    prompt_config_path: PromptFile
    """The prompt file."""
    format_as_messages: bool = True
    """False to make one text, each message with its role before it."""

    @model_validator(mode="after")
    def _variables_are_given(self) -> PromptBuilderBlock:
        given = set(self.input_cols.values())
        for name in sorted(self.prompt_config_path.variables.needed - given):
            message = f"the prompt {self.prompt_config_path.source} uses '{name}', which 'input_cols' does not give."
            hint = did_you_mean(name, given)
            raise PydanticCustomError("prompt", "{message}", {"message": f"{message} {hint}".rstrip()})
        return self

    def reads(self) -> Iterable[str | Need]:
        return tuple(self.input_cols)

    def writes(self) -> Iterable[str]:
        return self.output_cols

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Fill."""
        import pyarrow as pa

        table = to_table(rows)
        expansion = Expansion(self.output_cols)
        for place, row in enumerate(values_of(table, self.input_cols)):
            try:
                expansion.add(place, [self._filled(row)])
            except TemplateError as error:
                context.reject(place, "PromptFailed", str(error))
        return to_dataset(expansion.table(table, prompt_type() if self.format_as_messages else pa.string()))

    def _filled(self, row: Mapping[str, Any]) -> Any:
        messages = self.prompt_config_path.render({self.input_cols[column]: value for column, value in row.items()})
        if self.format_as_messages:
            return messages
        return "\n\n".join(f"{message['role']}: {message['content']}" for message in messages)
