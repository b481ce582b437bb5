"""How many rows and calls a row gives, guessed from what is known."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.blocks.columns import FlattenColumnsBlock
from sdg_prefect.blocks.conversations import HoldConversation
from sdg_prefect.blocks.drawing import RowMultiplierBlock
from sdg_prefect.blocks.heuristics import FilterByHeuristics
from sdg_prefect.blocks.judge_answers import JudgeAnswer
from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.rates import Sample, calls_bounds, rate, rows_bounds
from sdg_prefect.plan.plan import Step

FILTER, ANY = Guess(0, 1, 1), Guess(0, 1, None)
MANY = Guess.exactly(1000)


def step(block: object, when: str = "") -> Step:
    return Step("s", "s", block, "", "", "row", when=when)  # type: ignore[arg-type]


def test_without_a_sample_the_bounds_stay() -> None:
    assert rate([], ANY, MANY) == ANY
    assert rate([Sample()], FILTER, MANY) == FILTER


def test_what_is_sure_needs_no_sample() -> None:
    assert rate([Sample(10, 20)], Guess.exactly(3), MANY) == Guess.exactly(3)


def test_the_larger_a_sample_the_narrower_the_range() -> None:
    small, large = (rate([Sample(rows, rows * 0.8)], FILTER, MANY) for rows in (10, 1000))
    assert small.likely == large.likely == pytest.approx(0.8)
    assert small.low < large.low < 0.8 < (large.high or 0) < (small.high or 0) <= 1


def test_of_several_samples_the_largest_counts() -> None:
    assert rate([Sample(5, 5), Sample(100, 20)], FILTER, MANY).likely == pytest.approx(0.2)


def test_a_small_sample_that_is_of_one_mind_leaves_room() -> None:
    guess = rate([Sample(4, 4)], FILTER, MANY)
    assert guess.likely == 1
    assert guess.low < 0.8
    assert guess.high == 1


@given(
    rows=st.integers(1, 10_000),
    share=st.floats(0, 20),
    count=st.integers(0, 10_000),
    bounds=st.sampled_from([FILTER, ANY, Guess(1, 1, 3), Guess(0, 2, 6)]),
)
def test_a_guess_is_in_order_and_within_its_bounds(rows: int, share: float, count: int, bounds: Guess) -> None:
    guess = rate([Sample(rows, rows * share)], bounds, Guess.exactly(count))
    assert guess.likely is not None
    assert guess.high is not None
    assert bounds.low <= guess.low <= guess.likely <= guess.high <= (bounds.high or inf)


@pytest.mark.parametrize(
    ("block", "rows", "calls"),
    [
        (RowMultiplierBlock(block_name="b", num_samples=4), Guess.exactly(4), Guess.exactly(0)),
        (
            FlattenColumnsBlock(block_name="b", var_cols=("a", "b"), value_name="v", var_name="n"),
            Guess.exactly(2),
            Guess.exactly(0),
        ),
        (FilterByHeuristics(block_name="b", column="a", min_words=1), FILTER, Guess.exactly(0)),
        (
            JudgeAnswer(block_name="b", model_id="m", instruction_col="a", response_col="b", lists=True),
            FILTER,
            Guess(1, 1, None),
        ),
        (JudgeAnswer(block_name="b", model_id="m", instruction_col="a", response_col="b"), FILTER, Guess.exactly(1)),
        (
            HoldConversation(block_name="b", model_id="m", user_model_id="u", user_system="x", turns=3, closing="END"),
            FILTER,
            Guess(1, 6, 6),
        ),
        (HoldConversation(block_name="b", model_id="m", user_model_id="u", user_system="x", turns=3), FILTER, Guess.exactly(6)),
    ],
)
def test_blocks_say_what_a_row_may_give(block: object, rows: Guess, calls: Guess) -> None:
    assert rows_bounds(step(block)) == rows
    assert calls_bounds(step(block)) == calls


def test_a_condition_may_hold_for_no_row() -> None:
    block = JudgeAnswer(block_name="b", model_id="m", instruction_col="a", response_col="b")
    assert calls_bounds(step(block, "x > 1")) == Guess(0, 1, 1)
