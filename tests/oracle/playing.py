"""Small servers that play the models, agents and tools of a case, and remember what they were asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

from tests.oracle.tools import Tools, serve_tools
from tests.services import Service, serve

_HEADERS = ("x-api-key",)
"""Headers with the key of an agent, which sdg_hub takes from the file and we from the environment."""
_MADE_UP = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|[0-9a-f]{24}")
"""Ids of conversations that nobody named: sdg_hub draws them, here they are those of the rows."""


class Player:
    """Answers under an address of its own for each case and side."""

    def __init__(self) -> None:
        self.service = Service("")
        self.tools = Tools()
        self._numbers = count()
        self._said: Mapping[str, Any] = {}
        self._prefix = ""

    def begin(self, said: Mapping[str, Any]) -> str:
        """Begin with the answers of a case, and return the address for one side of it.

        Args:
            said: What is said where a text is a part of the messages or of what else is asked; where it begins with a path and two colons, only to what is
                posted there. To a model it is a message, or a text, or a list of them for its choices; to an agent the whole
                reply; a number is a status.
        """
        self._said = said
        self._prefix = f"/{next(self._numbers)}"
        self.service.asked.clear()
        self.tools.called.clear()
        return f"{self.service.url}{self._prefix}"

    @property
    def asked(self) -> list[Any]:
        """What was asked since then, in an order that is the same whatever came first."""
        plain = [
            (path.removeprefix(self._prefix), _sent(body), [name for name in _HEADERS if name in headers])
            for path, body, headers in self.service.asked
        ]
        plain += self.tools.called
        texts = [_MADE_UP.sub("ID", json.dumps(one, ensure_ascii=False, sort_keys=True)) for one in plain]
        return [json.loads(text) for text in sorted(texts)]

    def answer(self, path: str, body: Any) -> Any:
        """Answer; 400 where nothing is said to this."""
        text = json.dumps(body.get("messages", body), ensure_ascii=False)
        for key, said in self._said.items():
            place, _, part = key.rpartition(":: ")
            if place in path and part in text:
                return _completion(said, body) if path.endswith("/chat/completions") else said
        return 400


def _completion(said: Any, body: Any) -> Any:
    if isinstance(said, int):
        return said
    messages = said if isinstance(said, list) else [said]
    choices = [
        {"index": place, "finish_reason": "stop", "message": _message(messages[place % len(messages)])}
        for place in range(body.get("n") or 1)
    ]
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"], "choices": choices, "usage": usage}


def _message(said: Any) -> dict[str, Any]:
    return {"role": "assistant", **(said if isinstance(said, dict) else {"content": said})}


def _sent(body: Any) -> Any:
    """Leave out of messages what says nothing: nulls, and a field of litellm's own that sdg_hub sends back with a reply."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return body
    return {**body, "messages": [_without_nulls(message) for message in body["messages"]]}


def _without_nulls(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    return {key: part for key, part in message.items() if part is not None and key != "provider_specific_fields"}


@contextmanager
def play() -> Iterator[Player]:
    """Serve."""
    player = Player()
    with serve(player.answer) as service, serve_tools() as tools:
        player.service, player.tools = service, tools
        yield player
