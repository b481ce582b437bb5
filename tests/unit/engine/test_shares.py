"""Which lanes rows will take, guessed from conditions, from rows that are there and from earlier runs."""

from __future__ import annotations

import pytest

from sdg_prefect.blocks.conditions import settled_verdict
from sdg_prefect.engine.foreseeing import lane_shares
from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.rates import Sample

COUNT = Guess.exactly(100)


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [("true", True), ("not (false)", True), ("1 > 2", False), ("score > 2", None), ("x is defined", None)],
)
def test_a_condition_that_looks_at_no_column_is_settled(condition: str, verdict: bool | None) -> None:
    assert settled_verdict(condition) is verdict


def test_rows_go_on_for_sure_where_the_condition_says_so() -> None:
    assert lane_shares(["not (false)"], [], [], COUNT) == [Guess.exactly(1), Guess()]
    assert lane_shares(["false"], [], [], COUNT) == [Guess(), Guess.exactly(1)]


def test_without_anything_to_go_by_each_way_gets_an_equal_share_and_none_beyond_the_one_for_all_others() -> None:
    assert [share.likely for share in lane_shares(["a > 1", "true"], [], [], COUNT)] == [0.5, 0.5, 0]
    assert [share.likely for share in lane_shares(["a > 1", "a > 0"], [], [], COUNT)] == pytest.approx([1 / 3] * 3)


def test_rows_that_are_there_and_earlier_runs_tell_the_shares() -> None:
    seen = lane_shares(["a > 1", "true"], [8, 2, 0], [], COUNT)
    assert [share.likely for share in seen[:2]] == [0.8, 0.2]
    before = lane_shares(["a > 1", "true"], [1, 0, 0], [Sample(1000, 100), Sample(1000, 900)], COUNT)
    assert [share.likely for share in before[:2]] == [0.1, 0.9]
    assert before[0].low < 0.1 < (before[0].high or 0) < 0.2
