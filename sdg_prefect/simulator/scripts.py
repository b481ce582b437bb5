"""Replies fixed by a file, so that a test can say exactly what the model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class ScriptedReply(BaseModel):
    """A reply for every prompt that contains some text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str | tuple[str, ...]
    """Text the prompt must contain; of several texts, all."""

    reply: str | Annotated[tuple[str, ...], Field(min_length=1)]
    """The reply; of several, each sample of a prompt takes the next."""

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


def scripted_reply(replies: tuple[ScriptedReply, ...], prompt: str, sample: int) -> str | None:
    """Return the first scripted reply meant for the prompt, or None."""
    return next((reply.text(sample) for reply in replies if reply.fits(prompt)), None)
