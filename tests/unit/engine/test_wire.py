"""What passes between workers and their run arrives as it was sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.engine.runners.wire import Question, decode_answers, encode_answers
from sdg_prefect.models.completion import Choice, Completion, Failure, Request

TEXTS = st.text(st.characters(), max_size=20)  # halves of characters included
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
REQUESTS = st.builds(
    Request,
    model_id=TEXTS,
    row_id=TEXTS,
    messages=st.none() | st.lists(st.fixed_dictionaries({"role": TEXTS, "content": VALUES}), max_size=3),
    prompt=st.none() | TEXTS,
    params=st.dictionaries(TEXTS, VALUES, max_size=3),
    sample=st.integers(0, 5),
    shared_prefix=st.integers(0, 1000),
)
CHOICES = st.builds(
    Choice,
    text=st.none() | TEXTS,
    finish_reason=st.none() | TEXTS,
    reasoning=st.none() | TEXTS,
    logprobs=st.none() | st.lists(st.dictionaries(TEXTS, st.floats(allow_nan=False), max_size=3), max_size=2),
    tool_calls=st.none() | st.lists(st.dictionaries(TEXTS, VALUES, max_size=2), max_size=2),
)
COMPLETIONS = st.builds(
    Completion,
    choices=st.lists(CHOICES, max_size=3).map(tuple),
    model=TEXTS,
    tokens_in=st.integers(0),
    tokens_out=st.integers(0),
    cost_usd=st.none() | st.floats(0, 1e6),
    seconds=st.floats(0, 1e6),
    attempts=st.integers(1, 9),
    replayed=st.booleans(),
    tokens_cached=st.integers(0),
    tokens_written=st.integers(0),
)
FAILURES = st.builds(Failure, error=TEXTS, message=TEXTS, transient=st.booleans(), attempts=st.integers(1, 9))


@given(st.lists(REQUESTS, max_size=4).map(tuple), st.frozensets(TEXTS, max_size=3))
def test_a_question_arrives_as_it_was_asked_and_under_the_same_keys(requests: tuple[Request, ...], again: frozenset[str]) -> None:
    arrived = Question.decode(Question(requests, again).encode())
    assert arrived == Question(requests, again)
    assert [request.key("model") for request in arrived.requests] == [request.key("model") for request in requests]


@given(st.lists(COMPLETIONS | FAILURES, max_size=4))
def test_answers_arrive_as_they_were_given(answers: list[Completion | Failure]) -> None:
    assert decode_answers(encode_answers(answers)) == answers


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"requests": [{}], "again": []}', b'{"requests": [7], "again": []}'])
def test_what_is_no_question_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        Question.decode(content)
