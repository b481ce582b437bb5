"""The best of several replies, and what most of them say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.choosing import ChooseBest, VoteMajority
from sdg_prefect.testing import BlockResult, run_block

BEST = ChooseBest(block_name="b", candidates_col="r", scores_col="s", output_col="best", score_col="score", worst_col="worst")


def voted(replies: Any, **config: Any) -> BlockResult:
    return run_block(
        VoteMajority.model_validate({"block_name": "v", "input_col": "r", "output_col": "answer", **config}), [{"r": replies}]
    )


@pytest.mark.parametrize(
    ("replies", "scores", "expected"),
    [
        (["a", "b", "c"], [1.0, 3.0, 2.0], ("b", 3.0, "a")),
        (["a", "b"], [2.0, 2.0], ("a", 2.0, None)),
        (["a", "b", "c"], [None, 1.0, float("nan")], ("b", 1.0, None)),
        (["a"], [-1.0], ("a", -1.0, None)),
    ],
)
def test_the_best_and_the_worst_reply_are_chosen(replies: list[str], scores: list[Any], expected: tuple[Any, ...]) -> None:
    (row,) = run_block(BEST, [{"r": replies, "s": scores}]).rows
    assert (row["best"], row["score"], row["worst"]) == expected


@pytest.mark.parametrize(("replies", "scores"), [(["a"], [1.0, 2.0]), ([], []), (None, [1.0]), (["a"], [None])])
def test_lists_that_do_not_fit_together_reject_their_row(replies: Any, scores: Any) -> None:
    rows = [{"r": ["x"], "s": [1.0]}, {"r": replies, "s": scores}]
    assert [reject.error for reject in run_block(BEST, rows).rejects] == ["NoScores"]


@pytest.mark.parametrize(
    ("replies", "answer", "agreement"),
    [
        (["12", "12.", " 12.0 ", "13"], "12", 0.75),
        (["1,000", "1000", "999"], "1,000", 2 / 3),
        (["Yes", "yes.", "no"], "Yes", 2 / 3),
        (["b", "a", "a", "b"], "b", 0.5),
        (["$12$", "12", None, ""], "$12$", 0.5),
        ("alone", "alone", 1.0),
    ],
)
def test_equal_answers_are_counted_together(replies: Any, answer: str, agreement: float) -> None:
    (row,) = voted(replies).rows
    assert (row["answer"], row["agreement"]) == (answer, agreement)


def test_the_answer_is_found_by_a_pattern_and_the_last_match_counts() -> None:
    replies = ["answer: 3, no, answer: 4", "thinking\nanswer: 4\nbye", "no idea"]
    (row,) = voted(replies, pattern=r"answer: (\d+)").rows
    assert (row["answer"], row["agreement"]) == ("4", 2 / 3)


def test_rows_with_too_little_agreement_are_left_out_and_those_without_an_answer_rejected() -> None:
    assert voted(["a", "b", "c"], least_agreement=0.5).counts.filtered == 1
    assert voted(["a"], pattern="answer: (.*)").rejects[0].error == "NoAnswer"
    assert voted([None, " "]).rejects[0].error == "NoAnswer"


def test_a_pattern_has_one_group_at_most() -> None:
    with pytest.raises(ValidationError, match="may have one group"):
        voted([], pattern="(a)(b)")
