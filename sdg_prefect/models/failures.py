"""The table of failures: which calls are tried again, which reject their row, and which end the run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from math import isnan
from typing import Any

from sdg_prefect.models.allowances import Allowances, read_duration


class Reach(Enum):
    """How far a failure reaches."""

    CALL = "call"
    """Passing: the same call may succeed later."""
    ROW = "row"
    """Lasting for this row: it is rejected, the others go on."""
    RUN = "run"
    """Lasting for the run: no call can succeed until someone acts."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about a failed call."""

    reach: Reach
    error: str
    hint: str = ""


_SERVER_ERROR = Verdict(Reach.CALL, "ServerError")
_UNKNOWN_MODEL = Verdict(Reach.RUN, "UnknownModel", "Check the model's name and the endpoint's address.")

_BY_STATUS: dict[int, Verdict] = {
    400: Verdict(Reach.ROW, "BadRequest"),
    401: Verdict(
        Reach.RUN,
        "WrongKey",
        "Check the key, in the variable that 'api_key_env' or --api-key-env names; else in the provider's, as OPENAI_API_KEY.",
    ),
    402: Verdict(Reach.RUN, "QuotaUsedUp", "Top up the account, then run the same command again: nothing is paid twice."),
    403: Verdict(Reach.RUN, "NotAllowed", "The key may not use this model; check its rights."),
    404: _UNKNOWN_MODEL,
    405: _UNKNOWN_MODEL,
    407: Verdict(Reach.RUN, "NotAllowed", "The proxy that the environment names wants a name and password in its address."),
    408: Verdict(Reach.CALL, "Timeout"),
    409: Verdict(Reach.CALL, "Conflict"),
    410: _UNKNOWN_MODEL,
    413: Verdict(Reach.ROW, "ContextWindowExceeded"),
    422: Verdict(Reach.ROW, "BadRequest"),
    424: _SERVER_ERROR,
    425: Verdict(Reach.CALL, "TooEarly"),
    429: Verdict(Reach.CALL, "RateLimited"),
    498: Verdict(Reach.CALL, "RateLimited"),
    499: _SERVER_ERROR,
    504: Verdict(Reach.CALL, "Timeout"),
}
"""Some have the meaning of those who use them: text-generation-inference answers 424 where the model behind it failed, Groq 498
where its flexible tier is full, and proxies 499 where they gave up on the server."""

_STATUS_OF_CODE = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "invalid_api_key": 401,
    "model_not_found": 404,
    "server_error": 500,
    "internal_error": 500,
    "overloaded_error": 503,
    "timeout": 408,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 408,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
}
"""What a word stands for that some servers put where a status belongs, or as the type of the error."""

_TIMEOUT = Verdict(Reach.CALL, "Timeout")
_UNREACHABLE = Verdict(Reach.CALL, "Unreachable")
_REDIRECTED = Verdict(
    Reach.RUN,
    "Redirected",
    "If that is where to call, make it the endpoint's 'api_base'; a key is never sent on to another host.",
)

BROKEN_REPLY = Verdict(Reach.CALL, "BrokenReply", "Is that the address of the API? It mostly ends in /v1.")
"""Something came that is not a completion."""

LONGEST_REST = 300.0
"""Seconds that an endpoint may ask to be left alone; more than that is tried anyway."""
_LONGEST_MESSAGE = 1000

_DAY_MARK = "perday"
"""Google's limits for a day are named so; what it says of them else is what it says of those for a minute."""
_REST_SAID = re.compile(
    r"(?:retry|try again) (?:in|after) (\d+(?:\.\d+)?)(?: sec|((?:ms|[smhd])(?:[\d.]+(?:ms|[smhd]))*))", re.IGNORECASE
)
_QUOTA_MARKS = ("insufficient_quota", "exceeded your current quota", "credit balance is too low", "billing_hard_limit")
_WINDOW_MARKS = ("context_length_exceeded", "maximum context length", "context window", "too many tokens", "prompt is too long")
_FILTER_MARKS = ("content_filter", "content policy", "content_policy_violation", "content management policy")
_KEY_MARKS = ("missing credentials", "api_key client option must be set", "no api key", "api key not valid", "incorrect api key")
_PROVIDER_MARKS = ("llm provider not provided", "unable to map your input to a model")
_CONNECTION_MARKS = ("connection error", "cannot connect", "connect call failed", "connection refused", "server disconnected",
                     "connection reset", "name or service not known", "all connection attempts failed")  # fmt: skip


class CallError(Exception):
    """One attempt of a call failed; translated from whatever the client raised."""

    def __init__(
        self, verdict: Verdict, message: str, retry_after: float | None = None, allowances: Allowances | None = None
    ) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.message = message
        self.retry_after = retry_after
        """Seconds that the endpoint asks to wait, if it says so."""
        self.allowances = allowances
        """What it said is left of its limits, if it did."""


def judge(status: int | None, message: str) -> Verdict:
    """Look a failure up in the table.

    Args:
        status: HTTP status, or None where there was no reply.
        message: What the endpoint or the client said.
    """
    said = message.lower()
    # What a server says about one prompt may repeat the prompt, so words count only beside a status that fits them.
    if status in (None, 400, 401, 403, 500) and any(mark in said for mark in _KEY_MARKS):
        return _BY_STATUS[401]
    if status in (None, 400, 404, 500) and any(mark in said for mark in _PROVIDER_MARKS):
        return _BY_STATUS[404]
    if (status is None or status >= 500) and any(mark in said for mark in _CONNECTION_MARKS):
        return _UNREACHABLE
    if status in (402, 429) and _is_used_up(said):
        return _BY_STATUS[402]
    if status in (400, 413, 422, None) and any(mark in said for mark in _WINDOW_MARKS):
        return _BY_STATUS[413]
    if status in (400, 403, None) and any(mark in said for mark in _FILTER_MARKS):
        return Verdict(Reach.ROW, "ContentFilter")
    if status is None:
        return _TIMEOUT if "timed out" in said or "timeout" in said else BROKEN_REPLY
    if 300 <= status < 400:
        return _REDIRECTED
    return _BY_STATUS.get(status, _SERVER_ERROR if status >= 500 else Verdict(Reach.ROW, "BadRequest"))


def _is_used_up(said: str) -> bool:
    """True for a quota that is not there again soon. Google has the same words for one that is, and says when."""
    return _DAY_MARK in said or (any(mark in said for mark in _QUOTA_MARKS) and not _REST_SAID.search(said))


def status_of(code: Any, otherwise: int) -> int:
    """Read the status of a failure from the code in an error, which is a number, a number as text, or a word.

    Args:
        code: What stands in the error.
        otherwise: The status where the code says nothing.
    """
    if isinstance(code, str):
        code = int(code) if code.isascii() and code.isdigit() else _STATUS_OF_CODE.get(code)
    return code if isinstance(code, int) and 400 <= code < 600 else otherwise


def rest_of(verdict: Verdict, headers: Mapping[str, str], said: str) -> float | None:
    """Return the seconds for which an endpoint asks to be left alone, at most ``LONGEST_REST``; None if it does not.

    Args:
        verdict: On the call that it refused.
        headers: Of the reply: ``Retry-After`` with seconds or a date (RFC 9110, 10.2.3), or ``retry-after-ms``, which is exact.
        said: What it said; OpenAI, Google and others name the time there too.
    """
    exact = _seconds(headers.get("retry-after-ms"))
    rest = _seconds(headers.get("retry-after")) if exact is None else exact / 1000
    if rest is None and verdict.reach is Reach.CALL and (found := _REST_SAID.search(said)):
        rest = read_duration(f"{found[1]}{found[2] or 's'}")
    return None if rest is None else min(max(0.0, rest), LONGEST_REST)


def _seconds(retry_after: str | None) -> float | None:
    """Read a number, or the seconds until a date."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _seconds_until(retry_after)
    return None if isnan(seconds) else seconds


def _seconds_until(date: str) -> float:
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return float("nan")
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def readable(message: str, secrets: Iterable[str]) -> str:
    """Return what an endpoint said so that it can be kept and shown: without secrets, bounded, no halves of characters."""
    said = message
    for secret in secrets:
        said = said.replace(secret, "[key]")
    said = said.encode("utf-8", "replace").decode().strip()
    return said if len(said) <= _LONGEST_MESSAGE else f"{said[:_LONGEST_MESSAGE]} …"
