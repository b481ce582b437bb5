"""The OpenAI protocol: what a call asks for, and the bodies of the replies."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sdg_prefect.simulator.errors import bad_request
from sdg_prefect.simulator.logprobs import chat_logprobs, text_logprobs
from sdg_prefect.simulator.replying import FREE, Constraint
from sdg_prefect.simulator.wording import count_tokens, split_tokens

FINGERPRINT = "simulated"
"""The `system_fingerprint` of every reply."""


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


@dataclass(frozen=True, slots=True)
class Choice:
    """One text of a reply."""

    text: str
    finish_reason: str
    tokens: int


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
    )


def text_of(content: Any) -> str:
    """Return the text of a message's content, which may come in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


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


def generation_body(call: Call, choices: list[Choice], prompt: PromptTokens, key: str) -> dict[str, Any]:
    """Return the body of a reply, in the shape of its endpoint."""
    make = _chat_choice if call.is_chat else _text_choice
    return {
        **_head(call, key, "chat.completion" if call.is_chat else "text_completion"),
        "choices": [make(call, place, choice) for place, choice in enumerate(choices)],
        "usage": usage(prompt, sum(choice.tokens for choice in choices)),
    }


def stream_chunks(call: Call, choices: list[Choice], prompt: PromptTokens, key: str) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a streamed reply: each text in two halves, then its end."""
    head = _head(call, key, "chat.completion.chunk" if call.is_chat else "text_completion")
    for place, choice in enumerate(choices):
        tokens = split_tokens(choice.text)
        middle = (len(tokens) + 1) // 2
        for piece, reason in (
            ("".join(tokens[:middle]), None),
            ("".join(tokens[middle:]), None),
            ("", choice.finish_reason),
        ):
            delta = {"role": "assistant", "content": piece} if reason is None else {}
            part: dict[str, Any] = {"delta": delta} if call.is_chat else {"text": piece}
            yield {**head, "choices": [{"index": place, **part, "logprobs": None, "finish_reason": reason}]}
    if call.streams_usage:
        yield {**head, "choices": [], "usage": usage(prompt, sum(choice.tokens for choice in choices))}


def usage(prompt: PromptTokens, completion_tokens: int) -> dict[str, Any]:
    """Return the usage part of a reply."""
    told = {} if prompt.cached is None else {"prompt_tokens_details": {"cached_tokens": prompt.cached}}
    return {
        "prompt_tokens": prompt.count,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt.count + completion_tokens,
        **told,
    }


def models_body(models: tuple[str, ...]) -> dict[str, Any]:
    """Return the list of models."""
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": 0, "owned_by": FINGERPRINT} for name in models],
    }


def pooling_body(model: str, scores: list[list[list[float]]], prompt_tokens: int, key: str) -> dict[str, Any]:
    """Return the reply of a process-reward model: for each input, a pair of shares for each step."""
    return {
        "id": f"pool-{key}",
        "object": "list",
        "created": int(time.time()),
        "model": model,
        "system_fingerprint": FINGERPRINT,
        "data": [{"index": place, "object": "pooling", "data": steps} for place, steps in enumerate(scores)],
        "usage": usage(PromptTokens(prompt_tokens), 0),
    }


def _head(call: Call, key: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"{'chatcmpl' if call.is_chat else 'cmpl'}-{key}",
        "object": kind,
        "created": int(time.time()),
        "model": call.model,
        "system_fingerprint": FINGERPRINT,
    }


def _chat_choice(call: Call, place: int, choice: Choice) -> dict[str, Any]:
    scores = None if call.top_logprobs is None else chat_logprobs(choice.text, call.top_logprobs)
    return {
        "index": place,
        "message": {"role": "assistant", "content": choice.text, "refusal": None},
        "logprobs": scores,
        "finish_reason": choice.finish_reason,
    }


def _text_choice(call: Call, place: int, choice: Choice) -> dict[str, Any]:
    text = call.prompts[place // call.n] + choice.text if call.echoes else choice.text
    scores = None if call.top_logprobs is None else text_logprobs(text, call.top_logprobs)
    return {"index": place, "text": text, "logprobs": scores, "finish_reason": choice.finish_reason}
