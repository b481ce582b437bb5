"""Parameters of a chat that stand among the fields of a block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from sdg_prefect.blocks.base import Block


def _with_texts(value: Any) -> Any:
    """Make texts of the keys of a mapping: YAML reads the id of a token as a number, and JSON has none for keys."""
    return {str(key): part for key, part in value.items()} if isinstance(value, Mapping) else value


class ChatParameters(Block):
    """What the OpenAI protocol takes beside the messages (API reference, 2026); what is not given is not sent."""

    frequency_penalty: float | None = None
    """Above 0, words that were said often become less likely."""
    logit_bias: Annotated[Mapping[str, float] | None, BeforeValidator(_with_texts)] = None
    """Token id to what is added to its chance."""
    logprobs: bool | None = None
    """Asks for log-probabilities; the reply is kept without them."""
    max_completion_tokens: int | None = None
    """Most tokens of a reply, its reasoning included."""
    max_tokens: int | None = None
    """Most tokens of a reply."""
    n: int | None = Field(default=None, ge=1)
    """How many replies the model gives."""
    presence_penalty: float | None = None
    """Above 0, words that were said at all become less likely."""
    response_format: Mapping[str, Any] | None = None
    """The form that the reply has to have, such as ``{type: json_object}``."""
    seed: int | None = None
    """Seed of the server's sampling."""
    stop: str | tuple[str, ...] | None = None
    """Texts at which the reply ends."""
    stream: bool | None = None
    """Without effect: replies are taken whole."""
    temperature: float | None = None
    """0 for the likeliest reply, more for variety."""
    tool_choice: str | Mapping[str, Any] | None = None
    """Whether the model has to call a tool, and which."""
    tools: tuple[Mapping[str, Any], ...] | None = None
    """Tools that the model may call."""
    top_logprobs: int | None = None
    """How many tokens at each place have their log-probability told."""
    top_p: float | None = None
    """Samples from the likeliest tokens that add up to this chance."""
    user: str | None = None
    """Name of the user, for the endpoint's records."""
    extra_body: Mapping[str, Any] | None = None
    """What else your server alone understands."""

    def parameters(self) -> dict[str, Any]:
        """Return the parameters, None where one is not given."""
        return {name: getattr(self, name) for name in sorted(ChatParameters.__annotations__)}
