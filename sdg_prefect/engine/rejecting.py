"""The rows that a run rejected, read from its checkpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sdg_prefect.engine.shard import Shard
from sdg_prefect.engine.walking import Walk
from sdg_prefect.store.checkpoints import Reject, read_rejects
from sdg_prefect.store.integrity import Damaged


async def rejects_of(walk: Walk) -> list[Reject]:
    """Read the rows that were rejected so far; what is damaged is made again, unless the run is ending."""

    async def read(shards: Sequence[Shard]) -> list[Reject]:
        assert shards[0].source is not None
        return await asyncio.to_thread(read_rejects, walk.live.root, shards[0].source)

    found: list[Reject] = []
    for shard in walk.rejecting:
        try:
            found += await walk.whole([shard], read)
        except Damaged as damage:
            if not walk.live.gateway.is_stopped:
                raise
            walk.live.observer.say(f"some rejected rows cannot be told: {damage}")
    return found
