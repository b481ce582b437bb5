"""Replies fixed by a file, so that a test can say exactly what the model answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sdg_prefect.simulator.calling import ToolCall


class ScriptedCall(BaseModel):
    """A call of a tool."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The tool."""

    arguments: Mapping[str, Any] | str = Field(default_factory=dict)
    """Its arguments, or the text that stands in their place."""

    def as_call(self) -> ToolCall:
        """Return it as a reply holds it."""
        said = self.arguments
        return ToolCall(self.name, said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))


class ScriptedReply(BaseModel):
    """A reply for every prompt that contains some text: a text, or calls of tools."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str | tuple[str, ...]
    """Text the prompt must contain; of several texts, all."""

    reply: str | Annotated[tuple[str, ...], Field(min_length=1)] = ""
    """The reply; of several, each sample of a prompt takes the next."""

    tool_calls: tuple[ScriptedCall, ...] = ()
    """Tools that are called in its place."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if ("reply" in self.model_fields_set) == bool(self.tool_calls):
            raise ValueError("it has either 'reply' or 'tool_calls'")
        return self

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls as a reply holds them."""
        return tuple(call.as_call() for call in self.tool_calls)

    def fits(self, prompt: str) -> bool:
        """Tell whether this reply is meant for the prompt."""
        wanted = (self.match,) if isinstance(self.match, str) else self.match
        return all(text in prompt for text in wanted)

    def text(self, sample: int) -> str:
        """Return the reply for one sample of a prompt."""
        return self.reply if isinstance(self.reply, str) else self.reply[sample % len(self.reply)]


def load_replies(path: Path | None) -> tuple[ScriptedReply, ...]:
    """Read a JSONL file of scripted replies; no path means no replies.

    Raises:
        ValueError: A line is not a scripted reply; the message names the file and the line.
    """
    if path is None:
        return ()
    replies: list[ScriptedReply] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            replies.append(ScriptedReply.model_validate_json(line))
        except ValidationError as error:
            raise ValueError(f"{path}:{number}  not a scripted reply: {error.errors()[0]['msg']}") from error
    return tuple(replies)


def scripted_reply(replies: tuple[ScriptedReply, ...], prompt: str) -> ScriptedReply | None:
    """Return the first scripted reply meant for the prompt, or None."""
    return next((reply for reply in replies if reply.fits(prompt)), None)
