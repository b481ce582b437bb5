"""A review: what is shown, what a decision may be, and what becomes of the rows."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.blocks.review import Decision, ReviewBlock
from sdg_prefect.rows import ROW_ID
from sdg_prefect.testing import run_block
from sdg_prefect.testing.running import with_row_ids

ROWS = with_row_ids([{"question": f"Q{place}?", "score": str(place)} for place in range(10)])
IDS: list[str] = ROWS.column(ROW_ID).to_pylist()


def review(**fields: Any) -> ReviewBlock:
    return ReviewBlock.model_validate({"block_name": "check", **fields})


def decision(**fields: Any) -> Decision:
    return Decision.model_validate(fields)


def kept(block: ReviewBlock, given: Decision) -> list[str]:
    return [row["score"] for row in run_block(block.decided(given), ROWS).rows]


def test_approved_rows_pass_and_so_do_all_where_nobody_was_asked() -> None:
    assert run_block(review(), ROWS).ids == IDS
    assert kept(review(), decision(decision="approve")) == [str(place) for place in range(10)]


def test_dropped_rows_count_as_filtered() -> None:
    given = decision(decision="drop", drop_rows=[IDS[3]], drop_where="score|int > 7")
    assert kept(review(), given) == ["0", "1", "2", "4", "5", "6", "7"]
    counts = run_block(review().decided(given), ROWS).counts
    assert (counts.rows_in, counts.rows_out, counts.filtered, counts.is_conserved) == (10, 7, 3, True)


@given(st.sets(st.sampled_from(IDS)))
def test_whatever_is_dropped_by_id_the_others_stay_in_order(dropped: set[str]) -> None:
    made = run_block(review().decided(decision(decision="drop", drop_rows=sorted(dropped))), ROWS)
    assert made.ids == [row_id for row_id in IDS if row_id not in dropped]
    assert made.counts.filtered == len(dropped)


def test_the_rows_that_are_shown_are_spread_over_all_and_carry_their_ids() -> None:
    shown = review(sample=4, show=["score"]).shown(ROWS)
    assert shown == [{"row id": IDS[place], "score": str(place)} for place in (0, 2, 5, 7)]
    assert len(review().shown(ROWS)) == 10
    assert set(review().shown(ROWS)[0]) == {"row id", "question", "score"}


WRONG = [
    ({"decision": "drop"}, "needs the ids of rows in 'drop_rows' or a condition"),
    ({"decision": "approve", "drop_where": "score == '1'"}, "the decision is 'approve'; choose 'drop'"),
    ({"decision": "stop", "drop_rows": ["x"]}, "the decision is 'stop'"),
    ({"decision": "drop", "drop_where": "scor == '1'"}, "the rows have no column 'scor'. Did you mean 'score'?"),
    ({"decision": "drop", "drop_where": "score =="}, "'drop_where': the condition 'score ==' is wrong"),
    ({"decision": "drop", "drop_where": "score.__class__"}, "reaches for '__class__'"),
    ({"decision": "drop", "drop_where": "score / 2 > 1"}, "'drop_where': 'score / 2 > 1' cannot be asked of this row"),
    ({"decision": "drop", "drop_rows": [*"abcdef"]}, "no row has the id a, b, c and 3 more"),
]


@pytest.mark.parametrize(("fields", "said"), WRONG)
def test_a_decision_that_cannot_be_carried_out_says_why(fields: dict[str, Any], said: str) -> None:
    (problem,) = review().problems(decision(**fields), ROWS)
    assert said in problem


def test_a_decision_that_can_be_carried_out_has_no_problems() -> None:
    for fields in ({"decision": "approve"}, {"decision": "stop"}, {"decision": "drop", "drop_where": "score in ['1']"}):
        assert review().problems(decision(**fields), ROWS) == []


def test_a_decision_says_itself_in_a_line() -> None:
    assert str(decision(decision="approve")) == "approve"
    given = decision(decision="drop", drop_rows=["a", "b"], drop_where="x > 1", note="too short")
    assert str(given) == "drop 2 rows by id and where x > 1 (too short)"


def test_what_is_shown_does_not_change_the_key_and_what_is_asked_does() -> None:
    key = review().key({})
    assert review(show=["score"], sample=3).key({}) == key
    assert review(question="Any rude ones?").key({}) != key
    assert review().decided(decision(decision="stop")).key({}) == key


def test_a_copy_of_a_decided_block_has_its_decision() -> None:
    block = review().decided(decision(decision="drop", drop_rows=[IDS[0]]))
    again = deepcopy(block)
    assert again == block != review()
    assert run_block(again, ROWS).ids == IDS[1:]


def test_a_review_of_no_rows_shows_none() -> None:
    assert review().shown(ROWS.slice(0, 0)) == []
