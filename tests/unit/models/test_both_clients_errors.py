"""What failures are to the direct client and litellm: the same line of the table, and the same words."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from sdg_prefect.models.completion import Request
from sdg_prefect.models.failures import LONGEST_REST, CallError, Reach
from tests.unit.models.canned import CHAT, MESSAGE, NEVER, TEXT, Canned, ask, both_clients, chat, completed, error, failed, http

pytestmark = both_clients


STATUSES = [
    (400, "bad x", None, "BadRequest", Reach.ROW),
    (400, "stopped by the content filter", "content_filter", "ContentFilter", Reach.ROW),
    (400, "This model's maximum context length is 5 tokens.", "context_length_exceeded", "ContextWindowExceeded", Reach.ROW),
    (400, "no", "context_length_exceeded", "ContextWindowExceeded", Reach.ROW),
    (401, "Incorrect API key provided.", "invalid_api_key", "WrongKey", Reach.RUN),
    (402, "pay first", None, "QuotaUsedUp", Reach.RUN),
    (403, "no rights", None, "NotAllowed", Reach.RUN),
    (404, "The model `m` does not exist", "model_not_found", "UnknownModel", Reach.RUN),
    (408, "slow", None, "Timeout", Reach.CALL),
    (409, "twice", None, "Conflict", Reach.CALL),
    (413, "too large", None, "ContextWindowExceeded", Reach.ROW),
    (418, "a teapot", None, "BadRequest", Reach.ROW),
    (422, "n is wrong", None, "BadRequest", Reach.ROW),
    (425, "early", None, "TooEarly", Reach.CALL),
    (429, "slow down", "rate_limit_exceeded", "RateLimited", Reach.CALL),
    (429, "You exceeded your current quota", "insufficient_quota", "QuotaUsedUp", Reach.RUN),
    (500, "oops", None, "ServerError", Reach.CALL),
    (502, "oops", None, "ServerError", Reach.CALL),
    (503, "busy", None, "ServerError", Reach.CALL),
    (504, "nobody there", None, "Timeout", Reach.CALL),
    (529, "overloaded", None, "ServerError", Reach.CALL),
]


@pytest.mark.parametrize(("status", "message", "code", "kind", "reach"), STATUSES)
@pytest.mark.parametrize("request_", [CHAT, TEXT], ids=["chat", "text"])
def test_a_status_is_looked_up_in_the_table(
    client: str, status: int, message: str, code: str | None, kind: str, reach: Reach, request_: Request
) -> None:
    failure = failed(client, error(status, message, code), request_)
    assert (failure.verdict.error, failure.verdict.reach) == (kind, reach)
    assert message in failure.message


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, {"object": "error", "message": "max_tokens is too small", "code": 400}, "max_tokens is too small"),
        (400, {"error": "the model is busy"}, "the model is busy"),
        (404, {"detail": "Not Found"}, "Not Found"),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "n is wrong"}]}, "n is wrong"),
        (502, "<h1>Bad Gateway</h1>", "<h1>Bad Gateway</h1>"),
        (500, "", "500"),
        (400, [1], "[1]"),
        (400, [{"error": {"code": 400, "message": "no such field"}}], "no such field"),
    ],
)
def test_errors_of_several_servers_are_understood(client: str, status: int, body: Any, said: str) -> None:
    assert said in failed(client, http(status, body)).message


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"message": "overloaded", "code": 503}, "ServerError"),
        ({"message": "slow down", "code": 429}, "RateLimited"),
        ({"message": "slow down", "code": "rate_limit_exceeded"}, "RateLimited"),
        ({"message": "maximum context length is 3", "code": 400}, "ContextWindowExceeded"),
        ({"message": "bad thing"}, "BadRequest"),
    ],
)
@pytest.mark.parametrize("request_", [CHAT, TEXT], ids=["chat", "text"])
def test_an_error_with_the_status_of_a_success_is_an_error(client: str, found: Any, kind: str, request_: Request) -> None:
    failure = failed(client, http(200, {"error": found}), request_)
    assert (failure.verdict.error, failure.message) == (kind, found["message"])


def test_a_choice_whose_model_failed_is_an_error(client: str) -> None:
    failure = failed(client, http(200, chat({**MESSAGE, "content": ""}, error={"code": 502, "message": "the provider is down"})))
    assert (failure.verdict.error, failure.message) == ("ServerError", "the provider is down")


def test_googles_limits_for_a_minute_and_for_a_day_are_told_apart(client: str) -> None:
    def limited(limit: str) -> CallError:
        said = {"code": 429, "message": "You exceeded your current quota. Please retry in 12.5s.", "status": "RESOURCE_EXHAUSTED"}
        return failed(
            client, http(429, [{"error": {**said, "details": [{"violations": [{"quotaId": f"Requests{limit}Project"}]}]}}])
        )

    minute = limited("PerMinutePer")
    assert (minute.verdict.error, minute.retry_after) == ("RateLimited", 12.5)
    assert limited("PerDayPer").verdict.error == "QuotaUsedUp"


@pytest.mark.parametrize("status", [300, 302, 304])
def test_a_redirect_that_leads_nowhere_ends_the_run(client: str, status: int) -> None:
    server = Canned([http(status, b"", {"Location": "/login"})])
    failure = ask(client, server)
    assert isinstance(failure, CallError)
    assert (failure.verdict.error, failure.verdict.reach) == ("Redirected", Reach.RUN)


@pytest.mark.parametrize("nothing", [None, {}, {"message": "", "code": None}])
def test_an_error_that_says_nothing_is_none(client: str, nothing: Any) -> None:
    assert completed(client, {**chat(), "error": nothing}).choices[0].text == "hi"


@pytest.mark.parametrize("status", [429, 503])
def test_how_long_to_wait_may_be_said_in_seconds_or_as_a_date(client: str, status: int) -> None:
    def waits(retry_after: str) -> float | None:
        return failed(client, error(status, "slow down", headers={"Retry-After": retry_after})).retry_after

    now = datetime.now(UTC)
    assert waits("7") == 7.0
    assert waits("0.25") == 0.25
    assert waits("soon") is None
    assert waits("86400") == LONGEST_REST
    assert waits(format_datetime(now + timedelta(days=2), usegmt=True)) == LONGEST_REST
    assert waits(format_datetime(now - timedelta(days=2), usegmt=True)) == 0.0
    in_a_minute = waits(format_datetime(now + timedelta(minutes=1), usegmt=True))
    assert in_a_minute is not None
    assert 1 < in_a_minute <= 60


def test_no_reply_in_time_is_a_timeout(client: str) -> None:
    failure = failed(client, NEVER, timeout=0.3)
    assert (failure.verdict.error, failure.verdict.reach, failure.message) == ("Timeout", Reach.CALL, "no reply within 0.3 s")


@pytest.mark.parametrize(
    "reply", [b"", http(200, json.dumps(chat())[:60], length=500), b"HTTP/1.1 200 OK\r\nConnection: close\r\nConte"]
)
def test_a_connection_that_is_cut_is_nobody_there(client: str, reply: bytes) -> None:
    failure = failed(client, reply)
    assert (failure.verdict.error, failure.verdict.reach) == ("Unreachable", Reach.CALL)


def test_a_connection_that_is_refused_is_nobody_there(client: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        made = ask(client, Canned([NEVER]), api_base=url)
    assert isinstance(made, CallError)
    assert (made.verdict.error, made.verdict.reach) == ("Unreachable", Reach.CALL)


def test_what_a_server_says_is_kept_short_and_whole(client: str) -> None:
    message = failed(client, http(500, "<p>" + "half \ud83d".encode("utf-8", "replace").decode() * 2000)).message
    assert len(message) < 1100
    assert failed(client, http(400, {"error": {"message": "half \ud83d"}})).message == "half ?"
