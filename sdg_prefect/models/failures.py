"""The table of failures: which calls are tried again, which reject their row, and which end the run."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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


_BY_STATUS: dict[int, Verdict] = {
    400: Verdict(Reach.ROW, "BadRequest"),
    401: Verdict(Reach.RUN, "WrongKey", "Check the key in the variable that the endpoint's 'api_key_env' names."),
    402: Verdict(Reach.RUN, "QuotaUsedUp", "Top up the account, then run the same command again: nothing is paid twice."),
    403: Verdict(Reach.RUN, "NotAllowed", "The key may not use this model; check its rights."),
    404: Verdict(Reach.RUN, "UnknownModel", "Check the model's name and the endpoint's address."),
    408: Verdict(Reach.CALL, "Timeout"),
    409: Verdict(Reach.CALL, "Conflict"),
    413: Verdict(Reach.ROW, "ContextWindowExceeded"),
    422: Verdict(Reach.ROW, "BadRequest"),
    425: Verdict(Reach.CALL, "TooEarly"),
    429: Verdict(Reach.CALL, "RateLimited"),
}

_SERVER_ERROR = Verdict(Reach.CALL, "ServerError")
_TIMEOUT = Verdict(Reach.CALL, "Timeout")
_UNREACHABLE = Verdict(Reach.CALL, "Unreachable")
_BROKEN_REPLY = Verdict(Reach.CALL, "BrokenReply")

_QUOTA_MARKS = ("insufficient_quota", "exceeded your current quota", "credit balance is too low", "billing_hard_limit")
_WINDOW_MARKS = ("context_length_exceeded", "maximum context length", "context window", "too many tokens", "prompt is too long")
_FILTER_MARKS = ("content_filter", "content policy", "content_policy_violation", "content management policy")
_KEY_MARKS = ("missing credentials", "api_key client option must be set", "no api key", "api key not valid", "incorrect api key")
_PROVIDER_MARKS = ("llm provider not provided", "unable to map your input to a model")
_CONNECTION_MARKS = ("connection error", "cannot connect", "connect call failed", "connection refused", "server disconnected",
                     "connection reset", "name or service not known", "all connection attempts failed")  # fmt: skip


class CallError(Exception):
    """One attempt of a call failed; translated from whatever the client raised."""

    def __init__(self, verdict: Verdict, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.verdict = verdict
        self.message = message
        self.retry_after = retry_after
        """Seconds that the endpoint asks to wait, if it says so."""


def judge(status: int | None, message: str) -> Verdict:
    """Look a failure up in the table.

    Args:
        status: HTTP status, or None where there was no reply.
        message: What the endpoint or the client said.
    """
    said = message.lower()
    if any(mark in said for mark in _KEY_MARKS):
        return _BY_STATUS[401]
    if any(mark in said for mark in _PROVIDER_MARKS):
        return _BY_STATUS[404]
    if any(mark in said for mark in _CONNECTION_MARKS):
        return _UNREACHABLE
    if status in (402, 429) and any(mark in said for mark in _QUOTA_MARKS):
        return _BY_STATUS[402]
    if status in (400, 413, 422, None) and any(mark in said for mark in _WINDOW_MARKS):
        return _BY_STATUS[413]
    if status in (400, 403, None) and any(mark in said for mark in _FILTER_MARKS):
        return Verdict(Reach.ROW, "ContentFilter")
    if status is None:
        return _TIMEOUT if "timed out" in said or "timeout" in said else _BROKEN_REPLY
    if status >= 500:
        return _SERVER_ERROR
    return _BY_STATUS.get(status, Verdict(Reach.ROW, "BadRequest"))
