"""From a row to the row that it is made of, and on to its seed: by what ids are hashes of, so that nothing has to be kept for it.

A row that a block made has the id ``H(parent, block type, number)``. Whoever has the input of the block can make those ids again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from sdg_prefect.rows import child_id, ids_of
from sdg_prefect.store.shards import read_shard
from sdg_prefect.store.trail import Given, Trail

if TYPE_CHECKING:
    from sdg_prefect.store.root import Root


def parent_of(row_id: str, given: Sequence[str], maker: str, most: int) -> str | None:
    """Return the id of the row that a row is made of; None where it is made of none of these.

    Args:
        row_id: The row.
        given: The ids of the block's input.
        maker: The type of the block.
        most: How many rows one input row may have given at most.
    """
    if row_id in given:
        return row_id
    return next((one for number in range(most) for one in given if child_id(one, maker, number) == row_id), None)


def children_of(row_id: str, made: Mapping[str, int], maker: str) -> list[str]:
    """Return the rows that a block made of a row, by their numbers.

    Args:
        row_id: The row.
        made: The places of the block's output rows by their ids.
        maker: The type of the block.
    """
    return list(_children(row_id, made, maker))


def _children(row_id: str, made: Mapping[str, int], maker: str) -> Iterator[str]:
    if row_id in made:
        yield row_id
        return
    for number in count():
        child = child_id(row_id, maker, number)
        if child not in made:
            return
        yield child


@dataclass(frozen=True, slots=True)
class Fate:
    """What one block made of the descendants of a row."""

    step: str
    before: int
    """Descendants, or the row itself, that the block was given."""
    after: int
    """Rows that it made of them."""
    gone: tuple[str, ...]
    """Those of which it made none: it left them out, or rejected them."""


def fates(root: Root, trail: Trail, makers: Mapping[str, str], shard: int, row_id: str) -> list[Fate]:
    """Follow a row through all blocks that come after it.

    Args:
        root: The store.
        trail: What came of what.
        makers: The type of each step, by its label.
        shard: Where the row stands.
        row_id: The row, as it is called there.
    """
    found: list[Fate] = []
    living: dict[int, set[str]] = {shard: {row_id}}
    for passage in trail.passages:
        before = [one for given in passage.given for one in _as_given(root, trail, given, living.get(given.shard, set()))]
        if not before:
            continue
        made = {place: ids_of(read_shard(root, trail.shards[place])) for place in passage.made}
        everything = {one: 0 for ids in made.values() for one in ids}
        by_parent = {one: children_of(one, everything, makers[passage.step]) for one in before}
        children = {child for known in by_parent.values() for child in known}
        for place, ids in made.items():
            living[place] = living.get(place, set()) | (children & set(ids))
        gone = tuple(one for one, known in by_parent.items() if not known)
        found.append(Fate(passage.step, len(before), len(children), gone))
    return found


def _as_given(root: Root, trail: Trail, given: Given, ids: set[str]) -> list[str]:
    """Return some rows of a shard as they are called where a block was given it."""
    if not ids or not given.rounds:
        return sorted(ids)
    plain, derived = (ids_of(read_shard(root, trail.ref(one))) for one in (Given(shard=given.shard), given))
    return [there for here, there in zip(plain, derived, strict=True) if here in ids]


def seeds_of_output(root: Root, trail: Trail, makers: Mapping[str, str]) -> list[list[int]]:
    """Find the seed of every row of the output.

    Args:
        root: The store.
        trail: What came of what.
        makers: The type of each step, by its label.

    Returns:
        For each shard of the output the numbers of its rows' seeds, which count through all shards of the seeds.

    Raises:
        Damaged: Rows between the seeds and the output are gone or damaged.
    """
    seeds: dict[int, list[int]] = {}
    first = 0
    for shard in trail.seeds:
        seeds[shard] = list(range(first, first + trail.shards[shard].rows))
        first += trail.shards[shard].rows
    for passage in trail.passages:
        origin = dict(_origins(root, trail, passage.given, seeds))
        made = {shard: ids_of(read_shard(root, trail.shards[shard])) for shard in passage.made}
        if any(row_id not in origin for ids in made.values() for row_id in ids):
            places = {row_id: 0 for ids in made.values() for row_id in ids}
            maker = makers[passage.step]
            origin |= {child: seed for parent, seed in origin.items() for child in children_of(parent, places, maker)}
        for shard, ids in made.items():
            seeds[shard] = [origin[row_id] for row_id in ids]
    return [seeds[given.shard] for given in trail.output]


def _origins(root: Root, trail: Trail, given: Sequence[Given], seeds: Mapping[int, Sequence[int]]) -> Iterator[tuple[str, int]]:
    for one in given:
        yield from zip(ids_of(read_shard(root, trail.ref(one))), seeds[one.shard], strict=True)
