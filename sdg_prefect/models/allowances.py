"""What providers say about their limits in the headers of a reply."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Literal

Kind = Literal["requests", "tokens", "tokens_in", "tokens_out"]
"""What is limited; ``tokens`` are those of prompts and completions together."""

_MINUTE = 60.0
_SECONDS_OF = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of something may still be used, as a provider says."""

    limit: float
    remaining: float
    per_second: float
    """What comes back in a second, until all of it is there again."""


Allowances = Mapping[Kind, Allowance]


def read_allowances(headers: Mapping[str, str]) -> Allowances | None:
    """Read the headers in which OpenAI, Azure, Groq, Fireworks and others, or Anthropic, tell what is left; None where none do.

    Sources: OpenAI's guide on rate limits (``x-ratelimit-remaining-requests``, ``x-ratelimit-reset-requests: 6m0s``), Anthropic's
    (``anthropic-ratelimit-requests-remaining``, ``anthropic-ratelimit-requests-reset`` with a time of RFC 3339).

    Args:
        headers: Of a reply; names are looked up in small letters.
    """
    found: dict[Kind, Allowance] = {}
    for kind, limit_name, remaining_name, reset_name, seconds in _NAMES:
        limit = headers.get(limit_name)
        remaining = headers.get(remaining_name)
        if limit is not None and remaining is not None:
            allowance = _allowance(limit, remaining, seconds(headers.get(reset_name) or ""))
            if allowance is not None:
                found[kind] = allowance
    return found or None


def _allowance(limit: str, remaining: str, reset: float) -> Allowance | None:
    """Put together what three headers say; some servers write -1 where they have no limit."""
    try:
        most, left = float(limit), float(remaining)
    except ValueError:
        return None
    if not (isfinite(most) and isfinite(left)) or most <= 0 or left < 0:
        return None
    # All of it is there again after the time that is told. Where none is, limits are by the minute.
    used = most - left
    return Allowance(most, min(left, most), used / reset if used > 0 and reset > 0 else most / _MINUTE)


def read_duration(text: str) -> float:
    """Read ``12ms``, ``6m0s`` or a number of seconds; 0 for anything else."""
    try:
        seconds = float(text)
    except ValueError:
        parts = _DURATION.findall(text)
        seconds = sum(float(number) * _SECONDS_OF[unit] for number, unit in parts)
    return seconds if isfinite(seconds) else 0.0


def _until(text: str) -> float:
    """Read a time and return the seconds until then; 0 for anything else."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


_Names = tuple[Kind, str, str, str, Callable[[str], float]]


def _openai(kind: Kind, word: str) -> _Names:
    limit, remaining, reset = (f"x-ratelimit-{part}-{word}" for part in ("limit", "remaining", "reset"))
    return kind, limit, remaining, reset, read_duration


def _anthropic(kind: Kind, word: str) -> _Names:
    limit, remaining, reset = (f"anthropic-ratelimit-{word}-{part}" for part in ("limit", "remaining", "reset"))
    return kind, limit, remaining, reset, _until


_NAMES: tuple[_Names, ...] = (
    _openai("requests", "requests"),
    _openai("tokens", "tokens"),
    _anthropic("requests", "requests"),
    _anthropic("tokens", "tokens"),
    _anthropic("tokens_in", "input-tokens"),
    _anthropic("tokens_out", "output-tokens"),
)
