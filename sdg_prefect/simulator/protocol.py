"""The OpenAI protocol: what a call asks for, and what it gets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sdg_prefect.simulator.calling import Offer, ToolCall, read_offer
from sdg_prefect.simulator.errors import bad_request
from sdg_prefect.simulator.replying import FREE, Constraint
from sdg_prefect.simulator.wording import count_tokens, split_tokens, text_of


@dataclass(frozen=True, slots=True)
class Call:
    """What a request to generate asks for."""

    model: str
    prompts: tuple[str, ...]
    is_chat: bool
    n: int
    stop: tuple[str, ...]
    keeps_stop: bool
    max_tokens: int | None
    seed: int | None
    top_logprobs: int | None
    """Alternatives to report for each token; None for no log-probabilities."""
    constraint: Constraint
    streams: bool
    streams_usage: bool
    echoes: bool
    offer: Offer | None = None
    """Tools that the reply may call."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One text of a reply."""

    text: str
    finish_reason: str
    tokens: int
    calls: tuple[ToolCall, ...] = ()
    """Tools that are called in place of a text."""


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """Tokens of the prompts of a call."""

    count: int
    cached: int | None = None
    """Those that an earlier prompt began with; None where that is not told."""


def read_call(body: dict[str, Any], is_chat: bool) -> Call:
    """Read the body of a request to generate.

    Raises:
        ApiError: The body makes no sense.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise bad_request("you must provide a model parameter", "model")
    n = body.get("n") or 1
    if not isinstance(n, int) or not 1 <= n <= 1024:
        raise bad_request("'n' must be a number from 1 to 1024", "n")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise bad_request("'max_tokens' must be a number above 0", "max_tokens")
    stop = body.get("stop") or ()
    if body.get("logprobs") in (None, False):
        top = None
    else:
        top = int(body.get("top_logprobs") or 0) if is_chat else int(body["logprobs"])
    return Call(
        model=model,
        prompts=(_chat_prompt(body.get("messages")),) if is_chat else _text_prompts(body.get("prompt")),
        is_chat=is_chat,
        n=n,
        stop=(stop,) if isinstance(stop, str) else tuple(stop),
        keeps_stop=bool(body.get("include_stop_str_in_output")),
        max_tokens=limit,
        seed=body.get("seed"),
        top_logprobs=top,
        constraint=_constraint(body),
        streams=bool(body.get("stream")),
        streams_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        echoes=bool(body.get("echo")) and not is_chat,
        offer=read_offer(body) if is_chat else None,
    )


def _chat_prompt(messages: Any) -> str:
    """Join the messages the model has to act on: what the system says and the last turn."""
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise bad_request("'messages' must be a non-empty list of messages", "messages")
    if len(messages) == 1:
        return text_of(messages[0].get("content"))
    return "\n\n".join(text for message in messages if (text := text_of(message.get("content"))))


def _text_prompts(prompt: Any) -> tuple[str, ...]:
    if isinstance(prompt, str):
        return (prompt,)
    if isinstance(prompt, list) and prompt and all(isinstance(one, str) for one in prompt):
        return tuple(prompt)
    raise bad_request("'prompt' must be a text or a non-empty list of texts", "prompt")


def _constraint(body: dict[str, Any]) -> Constraint:
    """Read what the call demands of a reply, in OpenAI's words or vLLM's."""
    structured = body.get("structured_outputs") or {}
    choices = body.get("guided_choice") or structured.get("choice")
    schema = body.get("guided_json") or structured.get("json")
    pattern = body.get("guided_regex") or structured.get("regex")
    response_format = body.get("response_format") or {}
    match response_format.get("type"):
        case "json_schema":
            schema = (response_format.get("json_schema") or {}).get("schema")
            if not isinstance(schema, dict):
                raise bad_request("'response_format.json_schema.schema' is missing", "response_format")
        case "json_object":
            return Constraint(is_json=True)
    if not (choices or schema or pattern):
        return FREE
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError as error:
            raise bad_request(f"'guided_json' is not JSON: {error}", "guided_json") from error
    return Constraint(choices=tuple(map(str, choices or ())), schema=schema or None, pattern=pattern)


def finish(text: str, call: Call) -> Choice:
    """Cut a text at the call's stop strings and at its token limit."""
    reason = "stop"
    cuts = [(place, stop) for stop in call.stop if stop and (place := text.find(stop)) >= 0]
    if cuts:
        place, stop = min(cuts)
        text = text[: place + (len(stop) if call.keeps_stop else 0)]
    tokens = count_tokens(text)
    if call.max_tokens is not None and tokens > call.max_tokens:
        text, tokens, reason = "".join(split_tokens(text)[: call.max_tokens]), call.max_tokens, "length"
    return Choice(text, reason, tokens)


def finish_calls(calls: tuple[ToolCall, ...], call: Call) -> Choice:
    """Return a choice that calls tools; at the call's token limit the arguments of the last tool end in the middle."""
    reason = "stop" if call.offer is not None and call.offer.is_named else "tool_calls"
    tokens = [count_tokens(f"{one.name} {one.arguments}") for one in calls]
    total, limit = sum(tokens), call.max_tokens
    if limit is None or total <= limit:
        return Choice("", reason, total, calls)
    kept = list(calls)
    while len(kept) > 1 and total - tokens[len(kept) - 1] >= limit:
        total -= tokens[len(kept) - 1]
        kept.pop()
    pieces = split_tokens(kept[-1].arguments)
    kept[-1] = ToolCall(kept[-1].name, "".join(pieces[: max(0, len(pieces) - (total - limit))]))
    return Choice("", "length", limit, tuple(kept))
