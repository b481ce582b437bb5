"""The table of failures."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.models.failures import LONGEST_REST, Reach, judge, readable, seconds_to_wait, status_of


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
     ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0), ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0), ("Sun Nov  6 08:49:37 1994", 0.0)],
)  # fmt: skip
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert seconds_to_wait(value) == seconds


def test_what_was_said_is_made_fit_to_keep() -> None:
    assert readable("the key sk-1 is wrong", ["sk-1"]) == "the key [key] is wrong"
    assert readable("half \ud83d", []) == "half ?"
    assert len(readable("x" * 10**6, [])) < 1100
