"""Marks for providers that cache the beginning of prompts only where they are told to, and bill it at a tenth from then on.

Anthropic, at whatever cloud, and Nova at Bedrock want ``cache_control`` on the content part that ends the beginning, and cache
it from 512 to 4,096 tokens on, which depends on the model:
https://platform.claude.com/docs/en/build-with-claude/prompt-caching,
https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html, and ``prompt_cache_min_tokens`` of litellm's list.

OpenAI since GPT-5.6 wants ``prompt_cache_breakpoint`` there, from 1,024 tokens on. Unasked it ends what it caches near the end of
the prompt, so that prompts with different ends share nothing, and bills writing that at 1.25 times the price; the mode
``explicit`` keeps it from that: https://developers.openai.com/api/docs/guides/prompt-caching. It matches more reliably with a
``prompt_cache_key``, which it reads together with what the prompt begins with, so one is enough for all:
https://learn.microsoft.com/azure/foundry/openai/how-to/prompt-caching.

OpenAI before that, vLLM, SGLang, DeepSeek and Gemini find by themselves what prompts share. To Gemini a mark would be harm:
litellm makes a cached content of the whole marked message, the row's part included, whose storage Google bills by the hour:
https://ai.google.dev/gemini-api/docs/caching.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from sdg_prefect.models.completion import Message, Request
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.price_list import listed
from sdg_prefect.models.providers import PROVIDERS, SPEAKS_OPENAI, name_at_server

_GPT = re.compile(r"gpt-(\d+)(?:\.(\d+))?")
_FIRST_GPT_WITH_MARKS = (5, 6)
_MARKED_MODELS = re.compile(r"claude|amazon\.nova")
_HANDED_ON_BY = frozenset({"anthropic", "azure_ai", "bedrock", "databricks", "openrouter", "vertex_ai", "vertex_ai_beta"})
"""Providers to whom litellm hands marks on."""
_UNMARKED_MODELS = re.compile(r"gemini")
_USUAL_LEAST = 1024
_BYTES_A_TOKEN = 3
"""Rather few, so that no prefix is taken for too short that is not: a mark too many does nothing."""
_ROLES = frozenset({"system", "developer", "user"})
"""Whose messages may hold a mark, whoever the provider is."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Tells a provider that a prompt begins like others up to here."""

    on_part: Mapping[str, Any]
    """Goes into the content part that ends the beginning."""
    on_request: Mapping[str, Any] = field(default_factory=dict)
    """Goes into the body of the request."""
    at_least: int = _USUAL_LEAST
    """Tokens that the beginning needs for the provider to cache it."""

    def put(self, request: Request, params: Mapping[str, Any]) -> tuple[Request, Mapping[str, Any]]:
        """Mark the beginning that a request shares with those for other rows; the same request where it is too short.

        Args:
            request: What is asked.
            params: Sampling parameters; what ``extra_body`` says already stays.
        """
        messages, size, end = [*(request.messages or ())], 0, None
        for place, text in _beginning(messages, request.shared_prefix):
            size += len(text.encode("utf-8", "replace"))
            if messages[place]["role"] in _ROLES:
                end = place, len(text)
        if end is None or size < self.at_least * _BYTES_A_TOKEN:
            return request, params
        place, cut = end
        text = messages[place]["content"]
        parts = [{"type": "text", "text": text[:cut], **self.on_part}]
        parts += [{"type": "text", "text": text[cut:]}] if text[cut:] else []
        messages[place] = {**messages[place], "content": parts}
        if self.on_request:
            params = {**params, "extra_body": {**self.on_request, **(params.get("extra_body") or {})}}
        return replace(request, messages=messages), params


def _beginning(messages: Sequence[Message], shared: int) -> Iterator[tuple[int, str]]:
    """Give the place of each message of the beginning, and what of it belongs to the beginning."""
    for place, message in enumerate(messages):
        if shared <= 0:
            return
        yield place, message["content"][:shared]
        shared -= len(message["content"])


_CACHE_CONTROL = Mark({"cache_control": {"type": "ephemeral"}})
_BREAKPOINT = Mark(
    {"prompt_cache_breakpoint": {"mode": "explicit"}},
    {"prompt_cache_options": {"mode": "explicit"}, "prompt_cache_key": "sdg_prefect"},
)


def mark_of(endpoint: Endpoint) -> Mark | None:
    """Return the mark that an endpoint's provider wants; None where it caches by itself, or not at all."""
    name = endpoint.model.lower()
    if endpoint.prompt_cache == "never" or endpoint.is_fixed or _UNMARKED_MODELS.search(name):
        return None
    speaks_openai = _speaks_openai(endpoint)
    if speaks_openai and _is_openais_own(endpoint) and _version(name) >= _FIRST_GPT_WITH_MARKS:
        return _BREAKPOINT
    provider = endpoint.model.partition("/")[0]
    is_handed_on = provider in _HANDED_ON_BY or provider not in PROVIDERS
    if endpoint.prompt_cache == "auto" and (speaks_openai or not is_handed_on or not _MARKED_MODELS.search(name)):
        return None
    known = listed(endpoint.model)
    if endpoint.prompt_cache == "auto" and known and not _caches(known):
        return None
    return replace(_CACHE_CONTROL, at_least=int(known.get("prompt_cache_min_tokens") or _USUAL_LEAST))


def _caches(known: Mapping[str, Any]) -> bool:
    return bool(known.get("supports_prompt_caching")) or known.get("cache_read_input_token_cost") is not None


def _speaks_openai(endpoint: Endpoint) -> bool:
    """True where calls go out over the OpenAI protocol, to whatever server."""
    provider = endpoint.model.partition("/")[0]
    if endpoint.chosen_client == "openai" or provider in SPEAKS_OPENAI:
        return True
    return provider not in PROVIDERS and (endpoint.api_base is not None or _GPT.match(provider) is not None)


def _is_openais_own(endpoint: Endpoint) -> bool:
    host = urlsplit(endpoint.api_base).hostname or "" if endpoint.api_base else "api.openai.com"
    return not endpoint.is_simulated and f".{host}".endswith(".openai.com")


def _version(name: str) -> tuple[int, int]:
    found = _GPT.match(name_at_server(name))
    return (int(found[1]), int(found[2] or 0)) if found else (0, 0)
