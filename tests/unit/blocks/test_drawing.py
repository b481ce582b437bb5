"""More rows, and values drawn for each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sdg_prefect.blocks.drawing import RowMultiplierBlock, SamplerBlock
from sdg_prefect.testing import run_block


def sampler(**fields: Any) -> SamplerBlock:
    return SamplerBlock.model_validate({"block_name": "draw", "input_cols": "pool", "output_cols": "drawn", **fields})


def drawn(pools: list[Any], shard_size: int | None = None, **fields: Any) -> list[Any]:
    rows = [{"id": place, "pool": pool} for place, pool in enumerate(pools)]
    return [row["drawn"] for row in run_block(sampler(**fields), rows, shard_size=shard_size).rows]


def test_copies_stand_together_and_are_rows_of_their_own() -> None:
    result = run_block(RowMultiplierBlock(block_name="m", num_samples=3), [{"a": 1}, {"a": 2}])
    assert [row["a"] for row in result.rows] == [1, 1, 1, 2, 2, 2]
    assert len(set(result.ids)) == 6


def test_shuffled_rows_are_the_same_rows_in_another_order_that_only_the_seed_decides() -> None:
    def shuffled(**fields: Any) -> list[int]:
        block = RowMultiplierBlock(block_name="m", num_samples=5, shuffle=True, **fields)
        return [row["a"] for row in run_block(block, [{"a": place} for place in range(20)], shard_size=3).rows]

    assert shuffled() == shuffled()
    assert shuffled(random_seed=1) == shuffled(random_seed=1) != shuffled(random_seed=2)
    assert sorted(shuffled(random_seed=1)) == sorted(list(range(20)) * 5) != shuffled(random_seed=1)


def test_only_a_shuffle_waits_for_all_rows() -> None:
    assert RowMultiplierBlock(block_name="m", num_samples=2).own_scope() == "row"
    assert RowMultiplierBlock(block_name="m", num_samples=2, shuffle=True).own_scope() == "all"


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 8))
def test_values_are_drawn_without_putting_them_back(pool: list[int], count: int) -> None:
    (values,) = drawn([pool or [0]], num_samples=count)
    assert len(values) == min(count, len(pool or [0]))
    assert not Counter(values) - Counter(pool or [0])


def test_what_a_row_draws_depends_on_the_row_and_the_seed_not_on_shards() -> None:
    pools = [list(range(50))] * 8
    whole = drawn(pools, num_samples=3)
    assert drawn(pools, num_samples=3, shard_size=1) == drawn(pools, num_samples=3, shard_size=3) == whole
    assert len({tuple(values) for values in whole}) > 6
    assert drawn(pools, num_samples=3, random_seed=1) != whole


def test_every_value_of_a_pool_is_equally_likely() -> None:
    counts = Counter(drawn([["a", "b", "c", "d"]] * 2000, num_samples=1, return_scalar=True))
    assert all(400 < counts[value] < 600 for value in "abcd")


def test_heavy_values_are_drawn_more_often_and_weightless_ones_never() -> None:
    pools = [{"heavy": 9.0, "light": 1.0, "none": 0.0, "absent": None}] * 1000
    counts = Counter(drawn(pools, num_samples=1, return_scalar=True))
    assert 850 < counts["heavy"] < 950
    assert set(counts) == {"heavy", "light"}


def test_weights_of_several_rows_are_not_mixed_up() -> None:
    assert drawn([{"a": 1}, {"b": 1}, {}], num_samples=2) == [["a"], ["b"], []]


def test_one_value_stands_for_itself_and_nothing_is_null() -> None:
    assert drawn([[7], None, []], num_samples=1, return_scalar=True) == [7, None, None]
    assert drawn([[7], None], num_samples=2, return_scalar=True) == [[7], []]


@pytest.mark.parametrize(("pool", "said"), [("text", "neither a list nor a mapping"), ({"a": -1.0}, "a weight that is not")])
def test_what_nothing_can_be_drawn_from_is_rejected(pool: Any, said: str) -> None:
    (reject,) = run_block(sampler(), [{"pool": pool}]).rejects
    assert reject.error == "BadPool"
    assert said in reject.message


@pytest.mark.parametrize("block", [SamplerBlock, RowMultiplierBlock])
def test_at_least_one_is_wanted(block: Any) -> None:
    with pytest.raises(ValidationError, match="num_samples"):
        block.model_validate({"block_name": "x", "input_cols": "a", "output_cols": "b", "num_samples": 0})
