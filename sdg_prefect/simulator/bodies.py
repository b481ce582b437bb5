"""The OpenAI protocol: the bodies of replies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from sdg_prefect.simulator.calling import as_messages
from sdg_prefect.simulator.logprobs import chat_logprobs, text_logprobs
from sdg_prefect.simulator.protocol import Call, Choice, PromptTokens
from sdg_prefect.simulator.wording import split_tokens

FINGERPRINT = "simulated"
"""The `system_fingerprint` of every reply."""


def generation_body(call: Call, choices: list[Choice], prompt: PromptTokens, key: str) -> dict[str, Any]:
    """Return the body of a reply, in the shape of its endpoint."""
    make = _chat_choice if call.is_chat else _text_choice
    return {
        **_head(call, key, "chat.completion" if call.is_chat else "text_completion"),
        "choices": [make(call, place, choice, key) for place, choice in enumerate(choices)],
        "usage": usage(prompt, sum(choice.tokens for choice in choices)),
    }


def stream_chunks(call: Call, choices: list[Choice], prompt: PromptTokens, key: str) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a streamed reply: each text or call in pieces, then its end."""
    head = _head(call, key, "chat.completion.chunk" if call.is_chat else "text_completion")
    for place, choice in enumerate(choices):
        for delta in _deltas(choice, f"{key}{place}"):
            part = {"delta": delta} if call.is_chat else {"text": delta["content"]}
            yield {**head, "choices": [{"index": place, **part, "logprobs": None, "finish_reason": None}]}
        ended: dict[str, Any] = {"delta": {}} if call.is_chat else {"text": ""}
        yield {**head, "choices": [{"index": place, **ended, "logprobs": None, "finish_reason": choice.finish_reason}]}
    if call.streams_usage:
        yield {**head, "choices": [], "usage": usage(prompt, sum(choice.tokens for choice in choices))}


def _deltas(choice: Choice, key: str) -> Iterator[dict[str, Any]]:
    """Yield what the chunks of a choice add: its text in two halves, or each call with its name first and its arguments after."""
    if not choice.calls:
        for piece in _halves(choice.text):
            yield {"role": "assistant", "content": piece}
        return
    yield {"role": "assistant", "content": None}
    for place, call in enumerate(as_messages(choice.calls, key)):
        written = call["function"]["arguments"]
        yield {"tool_calls": [{"index": place, **call, "function": {**call["function"], "arguments": ""}}]}
        for piece in _halves(written):
            yield {"tool_calls": [{"index": place, "function": {"arguments": piece}}]}


def _halves(text: str) -> tuple[str, str]:
    tokens = split_tokens(text)
    middle = (len(tokens) + 1) // 2
    return "".join(tokens[:middle]), "".join(tokens[middle:])


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


def _chat_choice(call: Call, place: int, choice: Choice, key: str) -> dict[str, Any]:
    scores = None if call.top_logprobs is None else chat_logprobs(choice.text, call.top_logprobs)
    message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
    if choice.calls:
        message |= {"content": None, "tool_calls": as_messages(choice.calls, f"{key}{place}")}
    return {
        "index": place,
        "message": message,
        "logprobs": scores,
        "finish_reason": choice.finish_reason,
    }


def _text_choice(call: Call, place: int, choice: Choice, _: str) -> dict[str, Any]:
    text = call.prompts[place // call.n] + choice.text if call.echoes else choice.text
    scores = None if call.top_logprobs is None else text_logprobs(text, call.top_logprobs)
    return {"index": place, "text": text, "logprobs": scores, "finish_reason": choice.finish_reason}
