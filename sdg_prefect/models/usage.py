"""What a call took, in tokens, as providers report it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_CACHED = ("cache_read_input_tokens", "prompt_cache_hit_tokens")
"""Where Anthropic's protocol and DeepSeek report what OpenAI calls ``prompt_tokens_details.cached_tokens``."""
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call."""

    tokens_in: int = 0
    """Tokens of the prompt, all of them."""
    tokens_out: int = 0
    tokens_cached: int = 0
    """Those of the prompt that the provider had in its cache."""
    tokens_written: int = 0
    """Those of the prompt that it wrote to its cache, where it says so."""


def read_usage(usage: Any) -> Usage:
    """Read the usage part of a reply; 0 where the server does not say.

    Providers tell of their caches in several ways: OpenAI and vLLM within ``prompt_tokens_details``, proxies in the words of
    Anthropic, DeepSeek in its own (https://api-docs.deepseek.com/guides/kv_cache).
    """
    if not isinstance(usage, Mapping):
        return Usage()
    tokens_in, said = _count(usage.get("prompt_tokens")), usage.get("prompt_tokens_details")
    details: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    cached = _first(_count(details.get("cached_tokens")), *(_count(usage.get(name)) for name in _CACHED))
    written = _first(*(_count(details.get(name)) for name in _WRITTEN), _count(usage.get("cache_creation_input_tokens")))
    cached = min(cached, tokens_in)
    return Usage(tokens_in, _count(usage.get("completion_tokens")), cached, min(written, tokens_in - cached))


def _first(*counts: int) -> int:
    return next((count for count in counts if count), 0)


def _count(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e15 else 0
