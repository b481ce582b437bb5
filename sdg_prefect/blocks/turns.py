"""The turns of a conversation as a flow describes them, and the messages that they become for a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.conversation import as_messages, plain_tool_calls
from sdg_prefect.blocks.offered_tools import Unfit, listed
from sdg_prefect.blocks.templates import TemplateText, render
from sdg_prefect.frozen import Frozen

_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name")


class Turn(Frozen):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    """Who says it."""
    content: TemplateText = ""
    """What is said: a Jinja template over the row. Of a ``tool`` it is the result of the next call that has none yet."""
    tool_calls_col: str | None = Field(default=None, min_length=1)
    """Of an ``assistant``: column with the tools that it calls, a list of calls or JSON text."""
    results_col: str | None = Field(default=None, min_length=1)
    """Of a ``tool``: column with the results of all calls before it, a list in their order; each becomes a message."""

    @model_validator(mode="after")
    def _fits_its_role(self) -> Turn:
        for name, role in (("tool_calls_col", "assistant"), ("results_col", "tool")):
            if getattr(self, name) is not None and self.role != role:
                raise PydanticCustomError("turn", "'{name}' is for turns of the role '{role}'.", {"name": name, "role": role})
        if self.results_col is not None and self.content:
            raise PydanticCustomError("turn", "'results_col' and 'content' do not go together.")
        if not self.content and self.tool_calls_col is None and self.results_col is None:
            raise PydanticCustomError("turn", "the turn says nothing: it needs a 'content'.")
        return self

    @property
    def is_about_tools(self) -> bool:
        """True where the message calls tools or holds what one returned."""
        return self.role == "tool" or self.tool_calls_col is not None

    def columns(self) -> Iterable[str]:
        """Name the columns that it reads beside those of its template."""
        return [name for name in (self.tool_calls_col, self.results_col) if name is not None]


@dataclass(slots=True)
class Conversation:
    """The messages of a row as they are added."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    keeps_empty: bool = False
    """True to keep messages without a text."""
    _calls: int = 0
    _unanswered: list[dict[str, Any]] = field(default_factory=list)

    def begin(self, history: Any) -> None:
        """Add what was said before: a list of messages, or what an agent replied, with the list as its ``messages``.

        Raises:
            Unfit: It is an object of another kind.
        """
        if isinstance(history, Mapping) and not {"role", "messages"} & history.keys():
            raise Unfit("the history is an object that is neither a message nor has 'messages'.")
        said = history.get("messages") if isinstance(history, Mapping) and "role" not in history else history
        for message in as_messages(said) if said is not None else ():
            self._add({name: message[name] for name in _KEYS if name in message})

    def say(self, turn: Turn, row: Mapping[str, Any]) -> None:
        """Add the messages of a turn; one that has nothing to say is left out.

        Raises:
            TemplateError: Its template cannot be filled.
            Unfit: Calls and results do not fit together.
        """
        text = render(turn.content, {name: "" if value is None else value for name, value in row.items()}).strip()
        if turn.role != "tool":
            self._add({"role": turn.role, "content": text, **self._called(turn, row)})
        elif turn.results_col is None:
            self._answer(text)
        else:
            results = listed(row[turn.results_col])
            if len(results) != len(self._unanswered):
                raise Unfit(f"'{turn.results_col}' has {len(results)} results for {len(self._unanswered)} calls.")
            for result in results:
                self._answer(_text(result))

    def _called(self, turn: Turn, row: Mapping[str, Any]) -> dict[str, Any]:
        if turn.tool_calls_col is None:
            return {}
        try:
            calls = calls_in(row[turn.tool_calls_col], self._calls)
        except Unfit as error:
            raise Unfit(f"'{turn.tool_calls_col}': {error}") from error
        return {"tool_calls": calls} if calls else {}

    def _answer(self, text: str) -> None:
        if not self._unanswered:
            raise Unfit("a tool returns something, and no call before it is without a result.")
        call = self._unanswered[0]
        self._add({"role": "tool", "content": text, "tool_call_id": call["id"], "name": call["function"]["name"]})

    def _add(self, message: dict[str, Any]) -> None:
        calls = message.get("tool_calls") or []
        if not isinstance(message.get("content", ""), str):
            raise Unfit("a message of the history has a content with parts; only texts can go on here.")
        if not message.get("content") and not calls and message["role"] != "tool" and not self.keeps_empty:
            return
        self.messages.append(message)
        if message["role"] == "tool":
            self._unanswered = [call for call in self._unanswered if call["id"] != message.get("tool_call_id")]
        self._unanswered += calls
        self._calls += len(calls)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def calls_in(value: Any, before: int) -> list[dict[str, Any]]:
    """Return the calls of tools that a cell holds, as OpenAI has them; one without an id gets its number.

    Args:
        value: A list of calls, one call, or JSON text of either.
        before: Calls that the conversation had before.

    Raises:
        Unfit: It is something else.
    """
    calls = listed(value)
    if not all(isinstance(call, Mapping) and isinstance(call.get("function", call), Mapping) for call in calls):
        raise Unfit("a call is an object with 'name' and 'arguments'.")
    named = [{**call, "id": call.get("id") or f"call_{before + place}"} for place, call in enumerate(calls)]
    return plain_tool_calls(named) or []
