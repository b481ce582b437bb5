"""What a scripted model replies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from sdg_prefect.models.completion import Choice, Completion, Failure, Request

Reply = str | Sequence[str | None] | Completion | Failure
"""A text; the texts of several choices; or a whole completion or failure."""

Script = Callable[[str], Reply] | Mapping[str, Reply] | Sequence[Reply]
"""Gives the reply to a prompt: a function, or the replies by a part of the prompt, or the replies in the order of the calls."""


class NoReply(LookupError):
    """A block asked what the script has no reply to."""


def prompt_of(request: Request) -> str:
    """Return what a request asks as one text; several messages each with their role before it."""
    if isinstance(request.asked, str):
        return request.asked
    messages = list(request.messages or ())
    if len(messages) == 1:
        return _text(messages[0])
    return "\n".join(f"{message['role']}: {_text(message)}" for message in messages)


def _text(message: Mapping[str, object]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


class Stopped(BaseException):
    """A run was stopped in the middle of its calls. No exception that a block may handle."""


class Replies:
    """Answers requests from a script, one after another."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._rest: Iterator[Reply] = iter(()) if callable(script) or isinstance(script, Mapping) else iter(script)

    def answer(self, request: Request) -> Completion | Failure:
        """Return the answer to a request.

        Raises:
            NoReply: The script has none.
        """
        reply = self._reply(prompt_of(request))
        if isinstance(reply, (Completion, Failure)):
            return reply
        texts = [reply] * int(request.params.get("n") or 1) if isinstance(reply, str) else reply
        return Completion(tuple(Choice(text, "stop") for text in texts), model=request.model_id, cost_usd=0.0)

    def _reply(self, prompt: str) -> Reply:
        if callable(self._script):
            return self._script(prompt)
        if isinstance(self._script, Mapping):
            for part, reply in self._script.items():
                if part in prompt:
                    return reply
            raise NoReply(f"no key of the replies is a part of this prompt: {prompt!r}")
        for reply in self._rest:
            return reply
        raise NoReply(f"there are {len(self._script)} replies, and the block asks for one more: {prompt!r}")


class ResumedReplies(Replies):
    """Answers as a run does that is stopped and given again: what was answered once is read back as a ledger keeps it."""

    def __init__(self, script: Script, stops_after: int) -> None:
        """Prepare.

        Args:
            script: What the model says.
            stops_after: How many completions there are before the stop.
        """
        super().__init__(script)
        self._left: int | None = stops_after
        self._kept: dict[str, str] = {}
        self.paid = 0
        """Completions that the model gave."""

    def go_on(self) -> None:
        """Stop no more."""
        self._left = None

    def answer(self, request: Request) -> Completion | Failure:
        """Return what was kept, or ask.

        Raises:
            Stopped: The run stops here.
        """
        key = request.key(request.model_id)
        if key in self._kept:
            return Completion.from_record(json.loads(self._kept[key]))
        if self._left == 0:
            raise Stopped
        answer = super().answer(request)
        if isinstance(answer, Completion):
            self._left = None if self._left is None else self._left - 1
            self._kept[key] = json.dumps(answer.to_record())
            self.paid += 1
        return answer
