"""Agents behind HTTP: Langflow, LangGraph, and any server that takes a question and gives an answer as JSON."""

from __future__ import annotations

import json
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sdg_prefect.frozen import Frozen
from sdg_prefect.models.completion import Choice, Completion, Message, Request
from sdg_prefect.models.connections import address
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.failures import BROKEN_REPLY, CallError, Reach, Verdict
from sdg_prefect.models.json_server import JSONServer

_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
"""What LangGraph calls roles."""

_NO_ANSWER = Verdict(Reach.ROW, "NoAnswer")

Said = Mapping[str, Any]
"""What an agent replied: ``messages`` in order, and ``custom_outputs`` with a ``session_id`` if it named one."""


class Agent(Frozen):
    """How one kind of agent is asked. Its fields are the options that a flow writes as ``connector_kwargs``."""

    key_header: ClassVar[str] = "Authorization"
    """The header that carries a key; ``Authorization`` stands for a bearer token."""

    @abstractmethod
    async def ask(self, server: JSONServer, url: str, messages: Sequence[Message], session: str) -> Said:
        """Ask once.

        Args:
            server: Posts JSON and gives the reply; a failure is a CallError of the right kind already.
            url: Where the agent is.
            messages: What it is asked.
            session: Names the conversation.

        Raises:
            CallError: It failed, or what came is not what this kind of agent sends.
        """


class Langflow(Agent):
    """Langflow's ``/api/v1/run/FLOW``: the last words of the user go in, text and the calls of tools come out."""

    key_header: ClassVar[str] = "x-api-key"

    async def ask(self, server: JSONServer, url: str, messages: Sequence[Message], session: str) -> Said:
        """Ask once."""
        asked = {"output_type": "chat", "input_type": "chat", "input_value": _last_words(messages), "session_id": session}
        reply = _mapping(await server.post(url, asked))
        message = _at(reply, "outputs", 0, "outputs", 0, "results", "message")
        text = (_at(message, "text") or "") if isinstance(message, Mapping) and "text" in message else None
        steps = _first_contents(_at(message, "data", "content_blocks") or _at(message, "content_blocks"))
        trace = [part for place, step in enumerate(steps) for part in _tool_use(step, place)]
        if text is None and not trace:
            raise CallError(_NO_ANSWER, "the reply has no message of the agent")
        said = [{"role": "assistant", "content": str(text)}] if text is not None else []
        return said_by([*trace, *said], reply.get("session_id"))


class LangGraph(Agent):
    """LangGraph's threads: all messages go in, and all messages of the graph's state come out. Each row has a thread of its
    own.
    """

    key_header: ClassVar[str] = "x-api-key"

    assistant_id: str = Field(default="agent", min_length=1)
    """The assistant or graph to run."""
    run_config: Mapping[str, Any] = Field(default_factory=dict)
    """What the run is given as its ``config``."""

    async def ask(self, server: JSONServer, url: str, messages: Sequence[Message], session: str) -> Said:
        """Make a thread and run the graph on it."""
        thread = _mapping(await server.post(address(url, "threads"), {"metadata": {"session_id": session}}))
        if not thread.get("thread_id"):
            raise CallError(BROKEN_REPLY, "the reply to 'threads' has no 'thread_id'")
        asked: dict[str, Any] = {"assistant_id": self.assistant_id, "input": {"messages": [dict(one) for one in messages]}}
        if self.run_config:
            asked["config"] = dict(self.run_config)
        state = _mapping(await server.post(address(url, f"threads/{thread['thread_id']}/runs/wait"), asked))
        said = [_from_graph(one) for one in state.get("messages") or () if isinstance(one, Mapping)]
        if not said:
            raise CallError(_NO_ANSWER, "the state of the graph has no messages")
        return said_by(said, None)


class GenericHTTP(Agent):
    """Any server that takes a question somewhere in a JSON object and gives its answer somewhere in another."""

    request_message_path: str
    """Where the last words of the user go, as keys with dots between them."""
    response_text_path: str
    """Where the answer is found; a number is a place in a list."""
    request_session_id_path: str | None = None
    """Where the id of the session goes."""
    response_session_id_path: str | None = None
    """Where the id of the session is found."""

    @field_validator("request_message_path", "response_text_path", "request_session_id_path", "response_session_id_path")
    @classmethod
    def _has_no_gaps(cls, path: str | None) -> str | None:
        if path is not None and not all(path.split(".")):
            raise PydanticCustomError("path", "a path is keys with dots between them, such as 'output.answer'.")
        return path

    @model_validator(mode="after")
    def _paths_differ(self) -> GenericHTTP:
        one, other = f"{self.request_message_path}.", f"{self.request_session_id_path or ' '}."
        if one.startswith(other) or other.startswith(one):
            message = "'request_message_path' and 'request_session_id_path' must not be one inside the other."
            raise PydanticCustomError("path", message)
        return self

    async def ask(self, server: JSONServer, url: str, messages: Sequence[Message], session: str) -> Said:
        """Ask once."""
        asked: dict[str, Any] = {}
        _put(asked, self.request_message_path, _last_words(messages))
        if self.request_session_id_path:
            _put(asked, self.request_session_id_path, session)
        reply = _mapping(await server.post(url, asked))
        text = _at(reply, *self.response_text_path.split("."))
        if text is None:
            raise CallError(_NO_ANSWER, f"the reply has nothing at '{self.response_text_path}'")
        found = _at(reply, *self.response_session_id_path.split(".")) if self.response_session_id_path else None
        return said_by([{"role": "assistant", "content": str(text)}], found)


class AgentClient:
    """Asks an agent; ``params`` of its endpoint are the options of its kind."""

    def __init__(self, endpoint: Endpoint, kind: type[Agent]) -> None:
        self._endpoint = endpoint
        self._agent = kind.model_validate(dict(endpoint.params))
        key = endpoint.key() if endpoint.api_key_env else None
        carried = f"Bearer {key}" if self._agent.key_header == "Authorization" else key
        self._server = JSONServer(
            endpoint.timeout, {self._agent.key_header: carried} if carried and key else {}, endpoint.secrets()
        )

    async def complete(self, request: Request) -> Completion:
        """Make one attempt; the completion's text is what the agent said, as JSON. See ``Client`` and ``Said``."""
        started = time.perf_counter()
        session = str(request.params.get("session_id") or request.row_id)
        said = await self._agent.ask(self._server, self._endpoint.api_base or "", request.messages or (), session)
        text = json.dumps(said, ensure_ascii=False)
        return Completion((Choice(text, "stop"),), self._endpoint.model, seconds=time.perf_counter() - started)

    async def close(self) -> None:
        """Give back connections."""
        await self._server.close()


def said_by(messages: Sequence[Mapping[str, Any]], session: Any = None) -> Said:
    """Return what an agent said: messages with ``role`` and ``content``, and the session if it named one."""
    numbered = [{"id": f"message_{place}", **message} for place, message in enumerate(messages)]
    return {"messages": numbered, "custom_outputs": None if session is None else {"session_id": str(session)}}


def _last_words(messages: Sequence[Message]) -> str:
    """Return what the user said last.

    Raises:
        CallError: Nothing.
    """
    for message in reversed(messages):
        if message.get("role") == "user" and message.get("content"):
            return str(message["content"])
    raise CallError(Verdict(Reach.ROW, "BadMessages"), "there is no message of the user to send")


def _mapping(reply: Any) -> Mapping[str, Any]:
    if not isinstance(reply, Mapping):
        raise CallError(BROKEN_REPLY, "the reply is not a JSON object")
    return reply


def _at(value: Any, *path: str | int) -> Any:
    """Return what stands at a path; None where it leads nowhere."""
    for key in path:
        if isinstance(value, Mapping):
            value = value.get(str(key))
        elif isinstance(value, list) and str(key).isdecimal():
            value = value[int(key)] if int(key) < len(value) else None
        else:
            return None
    return value


def _put(body: dict[str, Any], path: str, value: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        body = body.setdefault(key, {})
    body[last] = value


def _first_contents(blocks: Any) -> list[Mapping[str, Any]]:
    """Return the steps of the first block that has any."""
    for block in blocks if isinstance(blocks, list) else ():
        contents = _at(block, "contents")
        if isinstance(contents, list) and contents:
            return [step for step in contents if isinstance(step, Mapping)]
    return []


def _tool_use(step: Mapping[str, Any], place: int) -> list[dict[str, Any]]:
    """Return the call of a tool and its result as two messages; nothing for another step."""
    if step.get("type") != "tool_use":
        return []
    name, call_id = str(step.get("name") or ""), f"call_{place}"
    arguments = json.dumps(step.get("tool_input") or {}, ensure_ascii=False)
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": name, "tool_call_id": call_id, "content": _as_text(step.get("output"))},
    ]


def _from_graph(message: Mapping[str, Any]) -> dict[str, Any]:
    said = str(message.get("type") or message.get("role") or "user")
    made: dict[str, Any] = {"role": _ROLES.get(said, said), "content": _as_text(message.get("content"))}
    kept = {key: message[key] for key in ("name", "tool_call_id", "tool_calls") if message.get(key)}
    return {**made, **kept}


def _as_text(value: Any) -> str:
    """Return what a tool gave, or the parts of a message, as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and (value.get("content") or "structuredContent" in value):
        return _as_text(value.get("content") or value["structuredContent"])
    if isinstance(value, list) and all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in value):
        return "".join(part["text"] for part in value)
    return "" if value is None else json.dumps(value, ensure_ascii=False)
