"""How rows are cut: nothing is lost, and Prefect can carry the task runs."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.plan.sharding import MAX_TASK_RUNS, Sizes, choose_shard_size, cut

ROWS = st.integers(0, 10**7)
STEPS = st.integers(0, 500)


@given(rows=st.integers(0, 2_000), size=st.integers(1, 500))
def test_the_pieces_are_all_rows_in_order(rows: int, size: int) -> None:
    pieces = cut(rows, size)
    ends = [0, *accumulate(length for _, length in pieces)]
    assert [start for start, _ in pieces] == ends[:-1]
    assert ends[-1] == rows
    assert all(0 < length <= size for _, length in pieces) or pieces == [(0, 0)]
    assert all(length == size for (_, length), _ in pairwise(pieces))


def test_no_rows_are_one_empty_shard() -> None:
    assert cut(0, 10) == [(0, 0)]


@given(rows=ROWS, steps=STEPS)
def test_there_are_never_more_task_runs_than_prefect_carries(rows: int, steps: int) -> None:
    size = choose_shard_size(rows, steps)
    assert size >= 1
    assert max(1, -(-rows // size)) * max(1, steps) <= MAX_TASK_RUNS


@given(rows=ROWS, steps=st.integers(1, 499))
def test_more_steps_never_make_smaller_shards(rows: int, steps: int) -> None:
    assert choose_shard_size(rows, steps + 1) >= choose_shard_size(rows, steps)


@given(rows=ROWS, steps=STEPS, fixed=st.integers(1, 1_000))
def test_the_size_that_a_user_asks_for_counts(rows: int, steps: int, fixed: int) -> None:
    assert Sizes(fixed, steps).of(rows) == fixed
    assert Sizes(None, steps).of(rows) == choose_shard_size(rows, steps)


@given(rows=ROWS, steps=STEPS)
def test_where_nothing_is_waited_for_shards_are_large_and_few_are_at_work(rows: int, steps: int) -> None:
    quick = Sizes(None, steps, is_quick=True)
    assert min(rows, 50_000) <= quick.of(rows) <= max(50_000, choose_shard_size(rows, steps))
    assert quick.at_once(rows) == 4
    assert quick.too_many(rows) == ""


@given(rows=ROWS, steps=STEPS)
def test_where_models_are_asked_in_batches_the_rows_of_two_are_at_work_and_not_many_more(rows: int, steps: int) -> None:
    calls, batches = Sizes(None, steps), Sizes(None, steps, in_batches=True)
    assert calls.of(rows) == batches.of(rows)
    assert calls.at_once(rows) <= batches.at_once(rows) <= 256
    at_work = batches.at_once(rows) * batches.of(rows)
    assert at_work <= max(100_000, 4 * batches.of(rows))
    assert at_work >= min(rows, 50_000)


@given(rows=ROWS, fixed=st.integers(1, 1_000), calls=st.integers(0, 4_000))
def test_there_are_rows_at_work_for_all_calls_that_may_be_open_as_far_as_threads_reach(rows: int, fixed: int, calls: int) -> None:
    at_once = Sizes(fixed, 3).at_once(rows, calls)
    assert 4 <= at_once <= 256
    assert at_once == 256 or (at_once + 1) * fixed > 2 * calls


@given(rows=st.integers(1, 20_000_000), steps=STEPS)
def test_the_rows_at_work_are_no_more_for_more_rows_until_four_shards_are_that_many(rows: int, steps: int) -> None:
    sizes = Sizes(None, steps)
    assert sizes.at_once(rows, 64) * sizes.of(rows) <= max(16_384, 4 * sizes.of(rows))
