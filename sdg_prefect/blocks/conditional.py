"""Ask a model with a prompt that the row chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from jinja2 import TemplateError
from pydantic import Field

from sdg_prefect.blocks.base import Need
from sdg_prefect.blocks.example import Example
from sdg_prefect.blocks.prompt_block import PromptBlock
from sdg_prefect.blocks.prompts import Prompt, PromptFile
from sdg_prefect.blocks.registry import block
from sdg_prefect.blocks.sampling import DEFAULTS
from sdg_prefect.models.completion import Request

EVERY = "All"
"""The choice that stands for every value without a prompt of its own."""


@block("ConditionalLLMBlock")
class ConditionalLLMBlock(PromptBlock):
    """Ask a model about each row with the prompt file that belongs to the row's value in a column.

    The prompt is sent as raw text over the completion protocol, without a chat template. Tags come from the first prompt file.
    A row whose value has no prompt is rejected, unless there is a prompt for ``All``.
    """

    example: ClassVar[Example] = Example(
        config={
            "config_paths": {"poem": "poem.yaml", "All": "other.yaml"},
            "selector_column_name": "form",
            "model_id": "teacher",
            "output_cols": ["text"],
        },
        files={
            "poem.yaml": 'generation: Write a poem about {{ topic }}.\nstart_tags: [""]\nend_tags: [""]\n',
            "other.yaml": "generation: Write a {{ form }} about {{ topic }}.\n",
        },
        rows=[{"form": "poem", "topic": "bees"}],
        replies={"poem about bees": "They hum, they come."},
        output=[{"form": "poem", "topic": "bees", "text": "They hum, they come."}],
    )

    config_paths: Mapping[str | bool | int | float, PromptFile] = Field(min_length=1)
    """Prompt file by value; ``All`` stands for every other value."""
    selector_column_name: str = Field(min_length=1)
    """Column whose value chooses the prompt."""

    def _first_prompt(self) -> Prompt:
        return next(iter(self.config_paths.values()))

    def asks(self) -> object:
        return self.selector_column_name

    def reads(self) -> Iterable[Need]:
        supplied = self._supplied()
        needs = [need for prompt in self.config_paths.values() for need in prompt.needs()]
        return [Need(self.selector_column_name), *(need for need in needs if need.column not in supplied)]

    def _wanted(self) -> set[str]:
        needs = [need.column for prompt in self.config_paths.values() for need in prompt.needs()]
        return {self.selector_column_name, *needs}

    def _request(self, row: Mapping[str, Any], row_id: str) -> Request:
        value = row[self.selector_column_name]
        own = self.config_paths.get(value) if isinstance(value, (str, bool, int, float)) else None
        prompt = own or self.config_paths.get(EVERY)
        if prompt is None:
            raise TemplateError(
                f"no prompt for {value!r} in '{self.selector_column_name}'; "
                f"there is one for {', '.join(map(repr, self.config_paths))}."
            )
        return Request(self.model_id, row_id, prompt=prompt.render_text(row), params={**DEFAULTS, **self.gen_kwargs})
