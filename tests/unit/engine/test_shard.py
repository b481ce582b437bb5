"""Shards whose data was damaged: the same rows again, or a line that says that they are others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow as pa
import pytest

from sdg_prefect.counts import Counts
from sdg_prefect.engine.shard import Shard, numbered, parts_of, seed_shards
from sdg_prefect.errors import StoreError
from sdg_prefect.rows import with_ids
from sdg_prefect.store.checkpoints import Checkpoint, write_checkpoint
from sdg_prefect.store.root import Root


def made_of(root: Root, *values: str) -> Checkpoint:
    """Write a checkpoint of shards of one row each."""
    tables = [with_ids(pa.table({"a": [value]}), [f"id-{value}"]) for value in values]
    return write_checkpoint(root, "checkpoints/block/key", tables, Counts(), [], "run", 0.0)


def shards_of(first: Checkpoint, then: Checkpoint) -> list[Shard]:
    """Return what a task run made, whose data is another when it is made again."""

    async def again() -> Checkpoint:
        return then

    return parts_of(first, seed_shards(first, again)[:1], again)


def test_a_shard_that_is_made_again_is_the_same_rows_in_the_same_place(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    shards = shards_of(made_of(root, "one", "two"), made_of(root, "one", "two"))
    second = numbered(shards)[1].moved(shards[1].ref.in_round(3))
    again = asyncio.run(second.remade())
    assert (again.ref, again.order, again.number, again.of) == (second.ref, (1,), 2, 2)


@pytest.mark.parametrize("others", [("one", "three"), ("one",)])
def test_other_rows_are_not_taken_for_those_that_were_damaged(tmp_path: Path, others: tuple[str, ...]) -> None:
    root = Root.at(tmp_path)
    first, second = shards_of(made_of(root, "one", "two"), made_of(root, *others))
    assert asyncio.run(first.remade()).ref.rows == 1
    with pytest.raises(StoreError, match=r"other rows came out .* The same command goes on"):
        asyncio.run(second.remade())
