"""The OpenAI protocol: the body of a request, and what its reply means."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from sdg_prefect.models.completion import Choice, Request, Route
from sdg_prefect.models.failures import CallError, judge, status_of
from sdg_prefect.models.vectors import read_vectors

_NOT_SENT = frozenset({"extra_body", "extra_headers", "timeout", "stream", "stream_options", "num_retries", "max_retries"})
"""Parameters that say how to call; replies are taken whole."""
_FINISHES = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "function_call",
    "content_filter": "content_filter",
}
"""Reasons other than an end of its own, in the words of several servers."""
_SHOWN = 60
"""Bytes of a reply that is not JSON that are shown: enough to tell a page of HTML."""
_THOUGHTS = re.compile(r"<(?:think|thinking|budget:thinking)>(.*?)</(?:think|thinking|budget:thinking)>(.*)", re.DOTALL)


class NoCompletion(ValueError):
    """A reply is not a completion; the message says why."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a server says about a failure."""

    status: int
    message: str
    code: str = ""


def request_body(model: str, request: Request, params: Mapping[str, Any]) -> bytes:
    """Write the body of a request.

    Args:
        model: The name that the server knows.
        request: Messages or a prompt.
        params: Sampling parameters, and whatever else the server understands; ``extra_body`` wins over them.

    Raises:
        CallError: A parameter cannot be written as JSON.
    """
    asked: dict[str, Any] = {"model": model}
    if request.text is not None:
        asked |= {"input": request.text, "encoding_format": "float"}
    elif request.prompt is not None:
        asked["prompt"] = request.prompt
    else:
        asked["messages"] = [dict(message) for message in request.messages or ()]
    asked |= {name: value for name, value in params.items() if value is not None and name not in _NOT_SENT}
    asked |= params.get("extra_body") or {}
    try:
        return orjson.dumps(asked, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        return _as_python_writes(asked)


def _as_python_writes(asked: Mapping[str, Any]) -> bytes:
    """Write what orjson refuses: halves of characters, and whole numbers beyond 64 bits."""
    try:
        return json.dumps(asked).encode()
    except (TypeError, ValueError) as error:
        raise CallError(judge(400, ""), f"the request cannot be written as JSON: {error}") from error


def read_json(data: bytes) -> Any:
    """Read JSON as leniently as Python does: halves of characters, NaN and a byte order mark are let in.

    Raises:
        NoCompletion: It is not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        begins = data[:_SHOWN].decode("utf-8", "replace").strip()
        raise NoCompletion(f"not JSON: {error}: {begins!r}" if data.strip() else "it is empty") from error


def read_choices(reply: Any, route: Route) -> tuple[Choice, ...]:
    """Read the choices of a reply.

    Raises:
        NoCompletion: It has none, or one is not as the protocol wants it.
    """
    if route == "embeddings":
        try:
            return tuple(Choice(vector, "stop") for vector in read_vectors(reply))
        except ValueError as error:
            raise NoCompletion(str(error)) from error
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices:
        raise NoCompletion("it has no choices")
    read = _chat_choice if route == "chat/completions" else _text_choice
    try:
        return tuple(read(choice) for choice in choices)
    except KeyError as error:
        raise NoCompletion(f"a choice has no {error}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise NoCompletion(f"a choice is malformed: {error}") from error


def read_error(status: int, data: bytes) -> Said:
    """Read the body of a reply with an error status, whatever its form."""
    text = data.decode("utf-8", "replace").strip()
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return Said(status, text or f"HTTP {status}")
    message, code = _message_and_code(body)
    return Said(status, message or text, code)


def error_within(reply: Any) -> Said | None:
    """Find the error in a reply that has the status of a success, as some proxies send it."""
    error = reply.get("error") if isinstance(reply, dict) else None
    if not error or (isinstance(error, dict) and not error.get("message") and error.get("code") is None):
        return None
    message, code = _message_and_code(reply)
    return Said(_status_within(error), message or str(error), code)


def _status_within(error: Any) -> int:
    """Return the status that an error stands for: by its code, or else its type, which is all that Anthropic names."""
    told = [error.get(name) for name in ("code", "type")] if isinstance(error, dict) else []
    return next((status for one in told if (status := status_of(one, 0))), 422)


def _message_and_code(body: Any) -> tuple[str, str]:
    """Find what went wrong in the forms of OpenAI (``error.message``), vLLM (``message``) and FastAPI (``detail``).

    Google puts the error into a list, and which limit was met into its details.
    """
    if isinstance(body, list) and len(body) == 1:
        body = body[0]
    if not isinstance(body, dict):
        return "", ""
    error = body.get("error")
    said = error if isinstance(error, dict) else body
    message = error if isinstance(error, str) else said.get("message") or said.get("detail") or body.get("detail")
    if message is not None and not isinstance(message, str):
        message = json.dumps(message, ensure_ascii=False)
    return message or "", " ".join(str(said[name]) for name in ("code", "type", "details") if said.get(name))


def _text_choice(choice: dict[str, Any]) -> Choice:
    _look_for_error(choice)
    if not isinstance(choice["text"], str):
        raise TypeError("its text is not text")
    reason = choice.get("finish_reason")
    return Choice(
        text=choice["text"],
        finish_reason=_finish(reason) if reason else None,
        logprobs=_text_logprobs(choice.get("logprobs")),
    )


def _look_for_error(choice: dict[str, Any]) -> None:
    """Refuse a choice that says that its model failed, as OpenRouter has it: what there is of its text is no answer.

    Raises:
        CallError: It says so.
    """
    if (said := error_within(choice)) is not None:
        raise CallError(judge(said.status, f"{said.message} {said.code}"), said.message)


def _chat_choice(choice: dict[str, Any]) -> Choice:
    _look_for_error(choice)
    message = choice["message"]
    if not isinstance(message, dict):
        raise TypeError("its message is not an object")
    text = message.get("content")
    if text is not None and not isinstance(text, str):
        raise TypeError("its content is not text")
    text, reasoning = _apart(message, text)
    calls = message.get("tool_calls")
    calls = [_tool_call(call, place) for place, call in enumerate(calls)] if calls else None
    reason = _finish(choice.get("finish_reason"))
    return Choice(
        text=text,
        finish_reason="tool_calls" if calls and reason == "stop" else reason,
        reasoning=reasoning,
        logprobs=_chat_logprobs(choice.get("logprobs")),
        tool_calls=calls,
    )


def _apart(message: Mapping[str, Any], text: str | None) -> tuple[str | None, str | None]:
    """Tell a reply from its reasoning, which comes in a field of its own or in front of the reply."""
    for name in ("reasoning_content", "reasoning"):
        if name in message:
            said = message[name]
            return text, said if isinstance(said, str) else None
    thoughts = _THOUGHTS.match(text) if text else None
    return (thoughts[2], thoughts[1]) if thoughts else (text, None)


def _finish(reason: Any) -> str:
    return _FINISHES.get(reason, "stop") if isinstance(reason, str) else "stop"


def _tool_call(call: dict[str, Any], place: int) -> dict[str, Any]:
    """Fill in what servers leave out; arguments are text, whatever came."""
    call = {**call, "id": call.get("id") or f"call_{place}", "type": call.get("type") or "function"}
    if call["type"] != "function":
        return call
    function = call["function"]
    arguments = function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)
    return {**call, "function": {**function, "arguments": written}}


def _text_logprobs(logprobs: Any) -> list[dict[str, float]] | None:
    positions = logprobs.get("top_logprobs") if isinstance(logprobs, dict) else None
    return [dict(position or {}) for position in positions] if isinstance(positions, list) else None


def _chat_logprobs(logprobs: Any) -> list[dict[str, float]] | None:
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list):
        return None
    return [{top["token"]: float(top["logprob"]) for top in position.get("top_logprobs") or [position]} for position in content]
