"""From rows to their seeds and back, by ids and the trail of a run alone."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.errors import StoreError
from sdg_prefect.rows import child_id, child_ids, ids_of, with_ids
from sdg_prefect.store.lineage import children_of, fates, parent_of, seeds_of_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef, read_shard, write_shards
from sdg_prefect.store.trail import Made, read_trail, trail_of, write_trail

MAKERS = {"split": "Split", "drop": "Filter", "all": "DropDuplicates"}


def stored(root: Root, folder: str, *ids: list[str]) -> tuple[DatasetRef, ...]:
    """Store shards of rows that have these ids."""
    return write_shards(root, folder, [with_ids(pa.table({"v": pa.array(part, pa.string())}), part) for part in ids]).refs


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root.at(tmp_path / "store")


def run(root: Root) -> tuple[list[Made], tuple[DatasetRef, ...]]:
    """Two shards of seeds; each seed but the third is split in three, the first of the three goes, and one duplicate at the end."""
    seeds = stored(root, "inputs/s", ["a", "b"], ["c", "d"])
    kept = [["a", "b"], ["d"]]
    split = [
        stored(root, f"checkpoints/split/{place}", child_ids([one for one in ids for _ in range(3)], "Split"))[0]
        for place, ids in enumerate(kept)
    ]
    left = [
        stored(root, f"checkpoints/drop/{place}", [child_id(one, "Split", number) for one in ids for number in (1, 2)])[0]
        for place, ids in enumerate(kept)
    ]
    whole = [row_id for ref in left for row_id in ids_of(read_shard(root, ref))]
    (output,) = stored(root, "checkpoints/all/0", whole[:-1])
    made = [Made("split", (seeds[1],), (split[1],)), Made("split", (seeds[0],), (split[0],))]
    made += [Made("drop", (split[place],), (left[place],)) for place in (0, 1)]
    return [*made, Made("all", tuple(left), (output,))], (output,)


def test_every_row_of_the_output_leads_to_its_seed(root: Root) -> None:
    made, output = run(root)
    trail = trail_of(made, output)
    (numbers,) = seeds_of_output(root, trail, MAKERS)
    seeds = [row_id for shard in trail.seeds for row_id in ids_of(read_shard(root, trail.shards[shard]))]
    assert [seeds[number] for number in numbers] == ["a", "a", "b", "b", "d"]


def test_what_becomes_of_a_seed_is_told_block_by_block(root: Root) -> None:
    made, output = run(root)
    trail = trail_of(made, output)
    told = fates(root, trail, MAKERS, trail.seeds[0], "d")
    assert [(fate.step, fate.before, fate.after, len(fate.gone)) for fate in told] == [
        ("split", 1, 3, 0),
        ("drop", 3, 2, 1),
        ("all", 2, 1, 1),
    ]
    (gone,) = fates(root, trail, MAKERS, trail.seeds[0], "c")
    assert (gone.step, gone.gone) == ("split", ("c",))


def test_rows_of_a_repetition_lead_to_the_rows_that_were_repeated(root: Root) -> None:
    (seeds,) = stored(root, "inputs/s", ["a", "b"])
    rounds = [seeds.in_round(number) for number in range(2)]
    made = [
        Made("split", (given,), stored(root, f"checkpoints/split/{place}", child_ids(ids_of(read_shard(root, given)), "Split")))
        for place, given in enumerate(rounds)
    ]
    output = tuple(ref for work in made for ref in work.made)
    trail = trail_of(made, output)
    assert seeds_of_output(root, trail, MAKERS) == [[0, 1], [0, 1]]
    assert [fate.after for fate in fates(root, trail, MAKERS, trail.seeds[0], "b")] == [1, 1]


def test_a_trail_is_read_back_as_it_was(root: Root) -> None:
    made, output = run(root)
    trail = trail_of(made, output)
    write_trail(root, "r", trail)
    assert read_trail(root, "r") == trail
    with pytest.raises(StoreError, match="left no trail"):
        read_trail(root, "other")
    root.write(b'{"shards": 3', "runs", "r", "trail.json")
    with pytest.raises(StoreError, match="is damaged"):
        read_trail(root, "r")


def test_of_work_that_was_done_again_the_last_counts(root: Root) -> None:
    (seeds,) = stored(root, "inputs/s", ["a"])
    (first,) = stored(root, "checkpoints/drop/0", ["a"])
    (second,) = stored(root, "checkpoints/drop/1", ["a"])
    trail = trail_of([Made("drop", (seeds,), (first,)), Made("drop", (seeds,), (second,))], (second,))
    assert [passage.made for passage in trail.passages] == [(2,)]
    assert seeds_of_output(root, trail, MAKERS) == [[0]]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8), st.booleans())
def test_a_parent_is_found_from_each_of_its_children_and_the_other_way_round(numbers: list[int], stays: bool) -> None:
    parents = [f"p{place}" for place in range(len(numbers))]
    made = (
        parents
        if stays
        else child_ids([parent for parent, number in zip(parents, numbers, strict=True) for _ in range(number)], "B")
    )
    places = {row_id: place for place, row_id in enumerate(made)}
    for parent, number in zip(parents, numbers, strict=True):
        children = children_of(parent, places, "B")
        assert len(children) == (1 if stays else number)
        assert all(parent_of(child, parents, "B", 9) == parent for child in children)
    assert parent_of("stranger", parents, "B", 9) is None
