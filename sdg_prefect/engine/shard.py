"""A shard on its way through a plan, and how its rows are made again where their data was damaged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sdg_prefect.errors import StoreError
from sdg_prefect.store.checkpoints import Checkpoint
from sdg_prefect.store.integrity import Damaged
from sdg_prefect.store.shards import DatasetRef

_MOST_REPAIRS = 3
"""How often the input of a task run is made again before a disk that damages it at once is given up."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shard:
    """Rows on their way: where they are, what made them, and their place in the output."""

    ref: DatasetRef
    order: tuple[int, ...]
    """Sorts the shards of one point of a pipeline into the order of their rows."""
    number: int
    """Place among the shards, from 1."""
    of: int
    """How many shards there are."""
    again: Callable[[], Awaitable[Checkpoint]]
    """Verifies the data that the rows are part of, makes it again if it is damaged, and returns it."""
    part: int
    """Which part of that data they are."""
    source: Checkpoint | None = None
    """What the task run gave that made them; None for seeds."""
    home: int = 0
    """Where rows took lanes one shard at a time: the number of the shard that they come from."""

    @property
    def lane(self) -> int:
        """Which lane it belongs to, right after rows parted."""
        assert self.source is not None
        return self.source.lanes[self.part]

    def moved(self, ref: DatasetRef, order: tuple[int, ...] | None = None) -> Shard:
        """Return the shard with another reference, and in another place of the order."""
        return replace(self, ref=ref, order=self.order if order is None else order)

    async def remade(self) -> Shard:
        """Return the shard after its data was verified or made again.

        Raises:
            StoreError: Other rows came out this time, as of a block that depends on more than its input.
        """
        made = await self.again()
        ref = made.parts[self.part] if self.part < len(made.parts) else None
        if ref is None or ref.fingerprint != self.ref.fingerprint:
            message = f"shard {self.ref.uri} was damaged, and other rows came out when it was made again."
            raise StoreError(message, "The same command goes on with these.")
        return replace(self, ref=ref.model_copy(update={"rounds": self.ref.rounds}), source=self.source and made)


def seed_shards(kept: Checkpoint, again: Callable[[], Awaitable[Checkpoint]]) -> list[Shard]:
    """Return the shards of the seeds."""
    return [Shard(ref, (place,), place + 1, len(kept.parts), again, place) for place, ref in enumerate(kept.parts)]


def parts_of(made: Checkpoint, shards: Sequence[Shard], again: Callable[[], Awaitable[Checkpoint]]) -> list[Shard]:
    """Return the shards that a task run made of others."""
    first, count = shards[0], len(made.parts)
    return [
        Shard(ref, (number, *first.order), number * first.of + first.number, count * first.of, again, number, made, first.home)
        for number, ref in enumerate(made.parts)
    ]


def numbered(shards: Sequence[Shard]) -> list[Shard]:
    """Sort shards into the order of their rows and number them anew."""
    ordered = sorted(shards, key=lambda shard: shard.order)
    return [replace(one, order=(place,), number=place + 1, of=len(ordered)) for place, one in enumerate(ordered)]


async def used_whole(
    shards: Sequence[Shard], use: Callable[[Sequence[Shard]], Awaitable[T]], may_repair: Callable[[], bool]
) -> T:
    """Use shards. If the data of some is found damaged, it is made again, from the ledger where models were asked.

    Raises:
        Damaged: It may not be made again, or is damaged again at once.
    """
    for _ in range(_MOST_REPAIRS):
        try:
            return await use(shards)
        except Damaged as found:
            if not may_repair():
                raise
            folders = {damage.folder for damage in found.damages}
            shards = [await shard.remade() if shard.ref.uri in folders else shard for shard in shards]
    return await use(shards)
