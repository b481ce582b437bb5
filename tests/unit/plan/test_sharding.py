"""How rows are cut: nothing is lost, and Prefect can carry the task runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.plan.sharding import MAX_TASK_RUNS, choose_shard_size, cut

ROWS = st.integers(0, 100_000)
SIZES = st.integers(1, 5_000)


@given(rows=ROWS, size=SIZES)
def test_the_pieces_are_all_rows_in_order(rows: int, size: int) -> None:
    pieces = cut(rows, size)
    assert [start for start, _ in pieces] == [sum(length for _, length in pieces[:place]) for place in range(len(pieces))]
    assert sum(length for _, length in pieces) == rows
    assert all(0 < length <= size for _, length in pieces) or pieces == [(0, 0)]


def test_no_rows_are_one_empty_shard() -> None:
    assert cut(0, 10) == [(0, 0)]


@given(rows=st.integers(0, 10**7), steps=st.integers(0, 500), concurrency=st.integers(1, 2_000))
def test_there_are_never_more_task_runs_than_prefect_carries(rows: int, steps: int, concurrency: int) -> None:
    size = choose_shard_size(rows, steps, concurrency)
    shards = -(-rows // size) or 1
    assert size >= 1
    assert shards * max(1, steps) <= MAX_TASK_RUNS


@given(rows=ROWS, steps=st.integers(1, 50), concurrency=st.integers(1, 500))
def test_more_rows_never_make_smaller_shards(rows: int, steps: int, concurrency: int) -> None:
    assert choose_shard_size(rows + 1, steps, concurrency) >= choose_shard_size(rows, steps, concurrency)


@given(rows=ROWS, steps=st.integers(1, 50), concurrency=st.integers(1, 500))
def test_more_concurrency_never_makes_larger_shards(rows: int, steps: int, concurrency: int) -> None:
    assert choose_shard_size(rows, steps, concurrency + 1) <= choose_shard_size(rows, steps, concurrency)
