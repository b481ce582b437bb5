"""Scores of reward models, for a response and for a list of them."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.blocks.reward import PRMBlock, ScoreAnswer
from sdg_prefect.models.completion import Failure
from sdg_prefect.testing import run_block

SCORE = ScoreAnswer(block_name="s", model_id="reward", instruction_col="q", response_col="a")
LIST = SCORE.model_copy(update={"lists": True})


def test_each_response_is_scored_by_itself() -> None:
    made = run_block(LIST, [{"q": "Why?", "a": ["b", "c"]}], {"c": "[0.5]", "b": "[1, -2.5]"})
    assert made.rows == [{"q": "Why?", "a": ["b", "c"], "score": [-2.5, 0.5]}]
    assert [request.sample for request in made.requests] == [0, 1]
    assert made.prompts == ["user: Why?\nassistant: b", "user: Why?\nassistant: c"]


def test_equal_responses_are_scored_once() -> None:
    made = run_block(LIST, [{"q": "Why?", "a": ["b", "c", "b"]}], {"c": "[0.5]", "b": "[1]"})
    assert (made.rows[0]["score"], len(made.requests)) == ([1, 0.5, 1], 2)


@pytest.mark.parametrize(
    ("row", "reply", "error"),
    [
        ({"q": "x", "a": None}, "[1]", "NoResponse"),
        ({"q": "x", "a": "y"}, "[]", "NoScore"),
        ({"q": "x", "a": "y"}, "good", "NoScore"),
        ({"q": "x", "a": "y"}, Failure("OverLong", "too long", transient=False), "OverLong"),
    ],
)
def test_a_row_without_a_score_is_rejected(row: dict[str, Any], reply: Any, error: str) -> None:
    made = run_block(SCORE, [row], lambda _: reply)
    assert [reject.error for reject in made.rejects] == [error]


def test_a_row_one_of_whose_responses_has_no_score_is_rejected_once() -> None:
    made = run_block(LIST, [{"q": "x", "a": ["b", "c", "d"]}, {"q": "y", "a": []}], {"b": "[1]", "c": "?", "d": "!"})
    assert [reject.error for reject in made.rejects] == ["NoScore", "NoResponse"]


def test_steps_that_get_no_numbers_reject_their_row() -> None:
    block = PRMBlock(block_name="p", host="localhost", model_name="prm", prompt_col="q", response_col="a")
    made = run_block(block, [{"q": "x", "a": "y"}], ["no scores"])
    assert [(reject.error, reject.raw) for reject in made.rejects] == [("NoScores", "no scores")]
