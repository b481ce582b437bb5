"""Calls of tools as the OpenAI protocol has them: what a request offers, and what the simulated model calls of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdg_prefect.simulator.chance import draw, fingerprint
from sdg_prefect.simulator.errors import ApiError, bad_request
from sdg_prefect.simulator.tools import Tool, call_of, calls_for
from sdg_prefect.simulator.wording import text_of
from sdg_prefect.simulator.writing import APPROVAL


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool in a reply."""

    name: str
    arguments: str
    """JSON, as the protocol has it."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of a request, and how far its conversation has come with them."""

    tools: tuple[Tool, ...]
    request: str
    """What the user said last."""
    called: int = 0
    """Calls since then."""
    results: tuple[str, ...] = ()
    """What came back from them."""
    must_call: bool = False
    is_named: bool = False
    """True where the request itself names the tool; the reply then ends with `stop`."""
    several: bool = True
    """False where a reply may have one call at most."""


def read_offer(body: Mapping[str, Any]) -> Offer | None:
    """Read the tools that a chat request offers; None where it offers none.

    Raises:
        ApiError: A tool or the choice of one makes no sense, or calls and results of the conversation do not fit together.
    """
    messages = [message for message in body.get("messages") or () if isinstance(message, Mapping)]
    _check_answered(messages)
    choice = body.get("tool_choice")
    if body.get("tools") is None:
        if choice not in (None, "none"):
            raise bad_request("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
        return None
    tools = _tools_of(body["tools"])
    named = _named(choice, tools)
    if choice == "none":
        return None
    since = _since_the_user(messages)
    return Offer(
        tools=(named,) if named is not None else tools,
        request=next((text_of(one.get("content")) for one in reversed(messages) if one.get("role") == "user"), ""),
        called=sum(len(one.get("tool_calls") or ()) for one in since),
        results=tuple(text_of(one.get("content")) for one in since if one.get("role") == "tool"),
        must_call=choice == "required" or named is not None,
        is_named=named is not None,
        several=body.get("parallel_tool_calls") is not False,
    )


def _tools_of(said: Any) -> tuple[Tool, ...]:
    if not isinstance(said, list) or not said:
        raise bad_request("'tools' must be a non-empty list of tools", "tools")
    tools = []
    for place, item in enumerate(said):
        function = item.get("function") if isinstance(item, Mapping) and item.get("type") == "function" else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise bad_request(
                f"'tools[{place}]' must have the type 'function', and a 'function' with a 'name'", f"tools[{place}]"
            )
        parameters = function.get("parameters") or {}
        if not isinstance(parameters, Mapping):
            raise bad_request(f"'tools[{place}].function.parameters' must be a JSON Schema", f"tools[{place}]")
        tools.append({**function, "parameters": parameters})
    return tuple(tools)


def _named(choice: Any, tools: Sequence[Tool]) -> Tool | None:
    """Return the tool that has to be called, where the request names one."""
    if choice in (None, "none", "auto", "required"):
        return None
    name = (choice.get("function") or {}).get("name") if isinstance(choice, Mapping) else None
    for tool in tools:
        if tool["name"] == name:
            return tool
    raise bad_request("'tool_choice' must be 'none', 'auto' or 'required', or name a function of 'tools'", "tool_choice")


def _check_answered(messages: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a conversation in which a call has no result, or a result no call."""
    open_calls: set[str] = set()
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise bad_request(
                    "messages with role 'tool' must answer a call of the message with 'tool_calls' before", "messages"
                )
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            break
        open_calls = {str(call.get("id")) for call in message.get("tool_calls") or () if isinstance(call, Mapping)}
    if open_calls:
        raise _unanswered(open_calls)


def _unanswered(calls: set[str]) -> ApiError:
    said = ", ".join(sorted(calls))
    return bad_request(
        f"a message with 'tool_calls' must be followed by a tool's message for each; there is none for {said}", "messages"
    )


def _since_the_user(messages: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    last = max((place for place, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    return messages[last + 1 :]


def choose_calls(offer: Offer, prompt: str, seed: int | None, sample: int) -> tuple[ToolCall, ...]:
    """Return the calls that serve the user's request and were not made yet: the same for the same prompt, seed and sample."""
    key = fingerprint(prompt, str(seed), str(sample))
    carefully = draw(key, "approves") < APPROVAL
    rest = calls_for(offer.tools, offer.request, key, carefully=carefully)[offer.called :]
    if not rest and offer.must_call:
        rest = [call_of(offer.tools[int(draw(key, "tool") * len(offer.tools))], offer.request, key)]
    made = [ToolCall(call["name"], json.dumps(call["arguments"], ensure_ascii=False)) for call in rest]
    return tuple(made if offer.several else made[:1])


def tell_results(offer: Offer) -> str | None:
    """Say what came back from the tools; None where none was called."""
    found = [text for result in offer.results if (text := _plain(result))]
    return f"I looked it up. {' '.join(found)}".strip() if offer.results else None


def _plain(result: str) -> str:
    """Take the texts out of what servers of tools send as JSON parts."""
    try:
        parts = json.loads(result)
    except (ValueError, RecursionError):
        return result.strip()
    texts = (
        [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
        if isinstance(parts, list)
        else []
    )
    return " ".join(texts) or result.strip()


def as_messages(calls: Sequence[ToolCall], key: str) -> list[dict[str, Any]]:
    """Return calls as a reply holds them, each with an id."""
    return [
        {
            "id": f"call_{fingerprint(key, str(place), call.name)}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for place, call in enumerate(calls)
    ]
