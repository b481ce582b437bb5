"""The table of failures."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.models.failures import LONGEST_REST, Reach, judge, readable, rest_of, status_of


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (None, "Connection error.", "Unreachable"),
        (500, "Connection error.", "Unreachable"),
        (None, "Request timed out.", "Timeout"),
        (None, "what?", "BrokenReply"),
        (400, "LLM Provider NOT provided.", "UnknownModel"),
        (500, "Missing credentials. Please pass an `api_key`", "WrongKey"),
        (400, "API key not valid. Please pass a valid API key.", "WrongKey"),
        (302, "moved", "Redirected"),
        (504, "", "Timeout"),
        (599, "", "ServerError"),
        (499, "", "ServerError"),
        (498, "flex tier is full", "RateLimited"),
        (405, "", "UnknownModel"),
        (410, "the model is retired", "UnknownModel"),
        (407, "", "NotAllowed"),
        (429, "You exceeded your current quota. Please retry in 34.07s.", "RateLimited"),
        (429, "You exceeded your current quota. Please retry in 34s. quotaId: RequestsPerDayPerProject", "QuotaUsedUp"),
        (429, "You exceeded your current quota, please check your plan.", "QuotaUsedUp"),
    ],
)
def test_a_failure_is_looked_up(status: int | None, message: str, kind: str) -> None:
    assert judge(status, message).error == kind


@pytest.mark.parametrize(
    "said", ["incorrect api key", "connection refused", "LLM Provider NOT provided", "exceeded your current quota"]
)
def test_words_of_a_prompt_that_an_error_repeats_do_not_end_a_run(said: str) -> None:
    assert judge(422, f"input: why does it say '{said}'?").reach is Reach.ROW


@pytest.mark.parametrize(
    ("code", "status"),
    [(429, 429), ("429", 429), ("rate_limit_exceeded", 429), ("odd", 422), (None, 422), (200, 422), (7, 422), ([], 422)],
)
def test_a_code_becomes_a_status(code: Any, status: int) -> None:
    assert status_of(code, 422) == status


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("3", 3.0), ("-3", 0.0), ("1e9", LONGEST_REST), ("nan", None), ("inf", LONGEST_REST), ("", None), ("tomorrow", None),
     ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0), ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0), ("Sun Nov  6 08:49:37 1994", 0.0),
     ("Fri, 27 Nov 99999999999 10:00:00 GMT", None)],
)  # fmt: skip
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert rest_of(judge(429, ""), {"retry-after": value} if value is not None else {}, "") == seconds


@pytest.mark.parametrize(
    ("headers", "said", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, "", 1.5),
        ({"retry-after-ms": "soon", "retry-after": "2"}, "", 2.0),
        ({"retry-after-ms": "9e9"}, "", LONGEST_REST),
        ({}, "Limit 20, used 20. Please try again in 6ms. See the docs.", 0.006),
        ({}, "Please try again in 1m2.5s.", 62.5),
        ({}, "Please retry after 26 seconds.", 26.0),
        ({}, "Please retry in 34.07s.", 34.07),
        ({"retry-after": "1"}, "Please try again in 6s.", 1.0),
        ({}, "Please try again later.", None),
    ],
)
def test_how_long_to_wait_is_also_said_elsewhere(headers: dict[str, str], said: str, seconds: float | None) -> None:
    assert rest_of(judge(429, said), headers, said) == seconds


def test_a_lasting_failure_that_repeats_a_prompt_asks_for_no_rest() -> None:
    said = "bad input: 'Please try again in 90s.'"
    assert rest_of(judge(400, said), {}, said) is None


def test_what_was_said_is_made_fit_to_keep() -> None:
    assert readable("the key sk-1 is wrong", ["sk-1"]) == "the key [key] is wrong"
    assert readable("half \ud83d", []) == "half ?"
    assert len(readable("x" * 10**6, [])) < 1100
