"""A conversation as it goes on: what was said so far, and how the user, the assistant and the tools each see it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sdg_prefect.blocks.toolbox import Toolbox
from sdg_prefect.blocks.turns import calls_in
from sdg_prefect.models.completion import Message

_OTHER = {"user": "assistant", "assistant": "user"}


@dataclass(frozen=True, slots=True)
class Briefing:
    """What each side of a conversation is told; empty where it is told nothing."""

    user: str
    assistant: str
    tools: str


@dataclass(slots=True)
class Waiting:
    """A call of a tool that nothing has come back from yet."""

    call: Mapping[str, Any]
    result: str | None
    """What will come back; None where nobody knows it yet."""

    def __str__(self) -> str:
        return f"{self.call['function']['name']} with {self.call['function']['arguments']}"


@dataclass(slots=True)
class Talk:
    """The conversation of a row."""

    place: int
    row_id: str
    briefing: Briefing
    toolbox: Toolbox
    messages: list[Message] = field(default_factory=list)
    """What was said, without what the assistant is told."""
    waiting: Sequence[Waiting] = ()
    is_lost: bool = False
    """True once the row is rejected."""
    _calls: int = 0

    def say(self, role: str, text: str, calls: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Add what user or assistant said, and the tools that are called with it."""
        called = calls_in(list(calls or ()), self._calls)
        self._calls += len(called)
        self.waiting = [Waiting(call, self.toolbox.returned(call)) for call in called]
        self.messages.append({"role": role, "content": text, **({"tool_calls": called} if called else {})})

    def return_results(self) -> None:
        """Add what came back from the calls that wait."""
        for waiting in self.waiting:
            about = {"tool_call_id": waiting.call["id"], "name": waiting.call["function"]["name"]}
            self.messages.append({"role": "tool", "content": waiting.result or "", **about})
        self.waiting = ()

    def kept(self) -> list[Message]:
        """Return the messages as the assistant sees them, and as they are kept."""
        told = self.briefing.assistant
        return [*([{"role": "system", "content": told}] if told else []), *map(dict, self.messages)]

    def seen_by_user(self) -> list[Message]:
        """Return the messages from the user's side: what the assistant says is what a user says, and tools are not seen."""
        told = self.briefing.user
        said = [message for message in self.messages if message["role"] in _OTHER and "tool_calls" not in message]
        if not said:
            return [{"role": "user", "content": told}]
        system = [{"role": "system", "content": told}] if told else []
        return [*system, *({"role": _OTHER[message["role"]], "content": message["content"]} for message in said)]

    def seen_by_tools(self, call: Mapping[str, Any]) -> list[Message]:
        """Return what a model sees that plays the tools: the calls so far with their results, and this one."""
        tools = json.dumps(list(self.toolbox.tools), ensure_ascii=False)
        told = {"role": "system", "content": f"{self.briefing.tools}\n\nThe tools:\n{tools}"}
        earlier = [
            {"role": role, "content": content}
            for asked, result in self._returned()
            for role, content in (("user", _written(asked)), ("assistant", result))
        ]
        return [told, *earlier, {"role": "user", "content": _written(call)}]

    def _returned(self) -> Iterator[tuple[Mapping[str, Any], str]]:
        """Give the calls that have results, each with its own."""
        waiting: list[Mapping[str, Any]] = []
        for message in self.messages:
            if message["role"] == "tool":
                yield waiting.pop(0), message["content"]
            else:
                waiting = list(message.get("tool_calls") or ())


def _written(call: Mapping[str, Any]) -> str:
    """Write a call as JSON, its arguments as they are where they are JSON too."""
    name, text = call["function"]["name"], call["function"]["arguments"].strip() or "{}"
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        text = json.dumps(text, ensure_ascii=False)
    return f'{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {text}}}'
