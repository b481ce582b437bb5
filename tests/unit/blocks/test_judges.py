"""Judges: what they are told, how verdicts are read, and that a judge's bias for a place does not count."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.judge_answers import JudgeAnswer
from sdg_prefect.blocks.judge_pairs import JudgePair
from sdg_prefect.blocks.judge_prompts import USUAL_RUBRIC, read_grade, read_verdict
from sdg_prefect.models.completion import Choice, Completion, Failure
from sdg_prefect.testing import BlockResult, run_block

ROW = {"q": "Who dances?", "a": "Bees.", "b": "Cows."}


def graded(reply: Any, row: dict[str, Any] | None = None, **config: Any) -> BlockResult:
    given = {"block_name": "j", "model_id": "judge", "instruction_col": "q", "response_col": "a", **config}
    return run_block(JudgeAnswer.model_validate(given), [row or ROW], reply if callable(reply) else lambda _: reply)


def compared(reply: Any, rows: list[dict[str, Any]] | None = None, **config: Any) -> BlockResult:
    given = {"block_name": "j", "model_id": "judge", "instruction_col": "q", "first_col": "a", "second_col": "b", **config}
    return run_block(JudgePair.model_validate(given), rows or [ROW], reply)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("<feedback> good </feedback>\n<score>4</score>", (4, "good")),
        ("<score>first 2, no:</score> <score> 3.5 </score>", (3.5, "first 2, no:</score>")),
        ("Feedback: It is right. [RESULT] 5", (5, "It is right.")),
        ("[RESULT] (3)", (3, "")),
        ("<score>9</score>", None),
        ("five stars", None),
        ("", None),
    ],
)
def test_a_grade_is_read_from_both_layouts(reply: str, expected: Any) -> None:
    found = read_grade(reply, USUAL_RUBRIC)
    assert found is None if expected is None else found is not None and found[0] == expected[0]
    if expected is not None and "no:" not in expected[1]:
        assert found == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("<verdict>A</verdict>", "A"),
        ("<verdict> Response B </verdict>", "B"),
        ("<verdict>tie</verdict>", "tie"),
        ("... [[C]]", "tie"),
        ("A is better, so [[A]]", "A"),
        ("<verdict>A</verdict> no: <verdict>B</verdict>", "B"),
        ("<verdict>Apple</verdict>", None),
        ("A", None),
    ],
)
def test_a_verdict_is_read(reply: str, expected: str | None) -> None:
    assert read_verdict(reply) == expected


def test_the_judge_is_told_instruction_response_rubric_and_reference() -> None:
    made = graded(
        "<score>2</score>",
        {**ROW, "ref": "Honey bees."},
        rubric={1: "wrong", 2: "right"},
        reference_col="ref",
        criterion="Is it true?",
    )
    (prompt,) = made.prompts
    for part in ("Who dances?", "Bees.", "1: wrong", "2: right", "Honey bees.", "Is it true?", "from 1 to 2"):
        assert part in prompt
    assert made.rows[0]["score"] == 2


def test_the_layout_of_prometheus_has_its_headings_and_its_result() -> None:
    made = graded("Feedback: fine [RESULT] 4", {**ROW, "ref": "Honey bees."}, style="prometheus", reference_col="ref")
    (prompt,) = made.prompts
    assert [line for line in prompt.splitlines() if line.startswith("###")] == [
        "###Task Description:",
        "###The instruction to evaluate:",
        "###Response to evaluate:",
        "###Reference Answer (Score 5):",
        "###Score Rubrics:",
        "###Feedback: ",
    ]
    assert (made.rows[0]["score"], made.rows[0]["feedback"]) == (4, "fine")


def test_the_mean_of_several_grades_counts() -> None:
    replies = Completion(tuple(Choice(f"<score>{score}</score>", "stop") for score in (2, 5, "none")))
    assert graded(replies, gen_kwargs={"n": 3, "temperature": 1}).rows[0]["score"] == 3.5


def test_a_list_of_responses_gets_a_list_of_scores() -> None:
    made = graded(
        lambda prompt: f"<score>{2 if 'x1' in prompt else 4}</score>",
        {"q": "?", "a": ["x1", "x2"]},
        lists=True,
        feedback_col=None,
    )
    assert made.rows == [{"q": "?", "a": ["x1", "x2"], "score": [2, 4]}]
    assert made.requests[0].key("") != made.requests[1].key("")


def test_equal_responses_of_a_list_are_graded_once_and_all_of_them_fail_together() -> None:
    made = graded(lambda prompt: f"<score>{2 if 'x1' in prompt else 4}</score>", {"q": "?", "a": ["x1", "x2", "x1"]}, lists=True)
    assert (made.rows[0]["score"], len(made.requests)) == ([2, 4, 2], 2)
    assert [request.sample for request in made.requests] == [0, 1]
    made = graded("no grade", {"q": "?", "a": ["x1", "x1"]}, lists=True)
    assert ([one.error for one in made.rejects], made.rows) == (["NoScore"], [])


def test_rows_without_a_response_or_a_grade_are_rejected() -> None:
    assert graded("<score>3</score>", {"q": "?", "a": None}).rejects[0].error == "NoResponse"
    assert graded("<score>3</score>", {"q": "?", "a": []}, lists=True).rejects[0].error == "NoResponse"
    rejected = graded("it is good").rejects[0]
    assert (rejected.error, rejected.raw) == ("NoScore", "it is good")
    assert graded(Failure("OverLong", "no", transient=False)).rejects[0].error == "OverLong"
    with pytest.raises(ValidationError, match="two scores at least"):
        graded("", rubric={1: "only"})


def prefers_what_is_longer(prompt: str) -> str:
    first, second = prompt.partition("### Response A\n")[2].split("\n\n### Response B\n")
    return f"<verdict>{'A' if len(first) > len(second.strip()) else 'B'}</verdict>"


def test_each_pair_is_asked_in_both_orders_and_what_holds_in_both_counts() -> None:
    made = compared(prefers_what_is_longer, [{"q": "?", "a": "long answer", "b": "short"}, {"q": "?", "a": "x", "b": "longer"}])
    assert [row["winner"] for row in made.rows] == ["first", "second"]
    assert len(made.requests) == 4


@pytest.mark.parametrize("place", ["A", "B"])
def test_a_judge_that_looks_at_the_place_only_finds_no_winner(place: str) -> None:
    rows = [{"q": str(number), "a": "x", "b": "y"} for number in range(20)]
    assert {row["winner"] for row in compared(lambda _: f"<verdict>{place}</verdict>", rows).rows} == {"tie"}
    alone = compared(lambda _: f"<verdict>{place}</verdict>", rows, swap=False)
    assert {row["winner"] for row in alone.rows} == {"first" if place == "A" else "second"}


def test_the_bias_of_a_judge_is_gone_from_the_shares() -> None:
    """A judge that takes what stands first in six of ten cases, and is right in the others."""
    chance = random.Random(7)
    rows = []
    for number in range(1000):
        pair = ["right", "wrong"]
        chance.shuffle(pair)
        rows.append({"q": f"question {number}", "a": pair[0], "b": pair[1]})

    def biased(prompt: str) -> str:
        first = prompt.partition("### Response A\n")[2].split("\n")[0]
        is_biased = random.Random(prompt).random() < 0.6
        return f"<verdict>{'A' if is_biased or first == 'right' else 'B'}</verdict>"

    once = Counter(row["winner"] for row in compared(biased, rows, swap=False).rows)
    assert once["first"] / len(rows) > 0.75
    made = compared(biased, rows)
    winners = Counter(row["winner"] for row in made.rows)
    assert winners["first"] == pytest.approx(winners["second"], rel=0.2)
    decided = [row for row in made.rows if row["winner"] != "tie"]
    assert all(row[{"first": "a", "second": "b"}[row["winner"]]] == "right" for row in decided)
    assert len(decided) / len(rows) == pytest.approx(0.4, abs=0.05)


def test_pairs_for_preference_training_come_out() -> None:
    made = compared(prefers_what_is_longer, [{"q": "?", "a": "x", "b": "longer"}], chosen_col="chosen", rejected_col="rejected")
    assert made.rows[0] | {} == {"q": "?", "a": "x", "b": "longer", "winner": "second", "chosen": "longer", "rejected": "x"}
    tie = compared(lambda _: "<verdict>tie</verdict>", chosen_col="chosen", rejected_col="rejected")
    assert (tie.rows[0]["chosen"], tie.rows[0]["rejected"]) == (None, None)
    assert compared(lambda _: "<verdict>tie</verdict>", ties="leave_out").counts.filtered == 1


@pytest.mark.parametrize("swap", [True, False])
def test_equal_responses_are_a_tie_that_nobody_is_asked_about(swap: bool) -> None:
    rows = [
        {"q": "?", "a": "same", "b": "same"},
        {"q": "?", "a": "x", "b": "longer"},
        {"q": "?", "a": "", "b": ""},
        {"q": "?", "a": "Same", "b": "same"},
    ]
    made = compared(prefers_what_is_longer, rows, swap=swap, chosen_col="chosen", rejected_col="rejected")
    assert [row["winner"] for row in made.rows][:3] == ["tie", "second", "tie"]
    assert (made.rows[0]["chosen"], made.rows[0]["rejected"]) == (None, None)
    assert len(made.requests) == (4 if swap else 2)
    assert compared([], rows[:1], ties="leave_out").counts.filtered == 1


def test_pairs_without_a_response_or_a_verdict_are_rejected() -> None:
    assert compared(lambda _: "", [{"q": "?", "a": None, "b": "x"}]).rejects[0].error == "NoResponse"
    assert compared(lambda _: "both fine").rejects[0].error == "NoVerdict"
    assert compared(lambda _: Failure("OverLong", "no", transient=False)).rejects[0].error == "OverLong"


@pytest.mark.parametrize("response", [["Bees."], {"text": "Bees."}])
def test_what_is_no_single_response_is_not_compared(response: Any) -> None:
    made = compared([], [{"q": "Who dances?", "a": "Cows.", "b": response}], chosen_col="chosen")
    assert [one.message for one in made.rejects] == ["'b' does not hold a response."]
