"""A run with a target: wave after wave of seeds through the plan, until as many rows come out as are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sdg_prefect.counts import Counts
from sdg_prefect.engine.seeding import Seeds
from sdg_prefect.engine.shard import Shard, numbered
from sdg_prefect.engine.walking import Walk
from sdg_prefect.plan.plan import PipelinePlan
from sdg_prefect.report.run_report import BlockTally
from sdg_prefect.spec.target import Target


async def through(walk: Walk, pipelines: Sequence[PipelinePlan], shards: Sequence[Shard]) -> list[Shard]:
    """Take shards through pipelines, one after another."""
    made = list(shards)
    for pipeline in pipelines:
        made = await walk.pipeline(pipeline, made)
    return made


def _begin(walk: Walk, wave: int) -> None:
    """Begin to go through the plan once more: what is done is not done again, and rows are counted anew."""
    walk.wave = wave
    walk.rejecting.clear()
    for tally in walk.tallies.values():
        tally.begin_again()


@dataclass
class Reach:
    """How far a run has come to its target."""

    target: Target
    seeds: Seeds
    candidates: int = 0
    """Seeds that were tried so far, each time that one is taken again counted."""
    accepted: int = 0
    """Rows that came out of them."""
    waves: int = 0

    @property
    def rows(self) -> int:
        """Seeds that the run takes, as far as that is known."""
        return self.candidates or self.target.next_wave(0, 0)

    @property
    def is_missed(self) -> bool:
        """True if fewer rows came out than are wanted."""
        return self.accepted < self.target.rows

    async def walked(self, walk: Walk, pipelines: Sequence[PipelinePlan]) -> list[Shard]:
        """Take waves of candidates through all pipelines, and return the shards that come out.

        Each wave takes all candidates so far, so that blocks that wait for all rows see all of them; what an earlier wave has
        done is not done again.

        Args:
            walk: The walk over the plan.
            pipelines: Those of the plan.

        Raises:
            CancelledError: The run was stopped.
        """
        given, made = list[Shard](), list[Shard]()
        while wave := self.target.next_wave(self.accepted, self.candidates):
            more = await asyncio.to_thread(self._candidates, walk, wave)
            given = numbered([*given, *(replace(shard, order=(len(given), *shard.order)) for shard in more)])
            self.candidates += wave
            self.waves += 1
            if self.waves > 1:
                walk.live.observer.grow(self.candidates)
                rows = f"{self.accepted:,} of {self.target.rows:,} rows"
                walk.live.observer.say(f"wave {self.waves}: {rows} so far; {wave:,} candidates more, {self.candidates:,} in all")
            _begin(walk, self.waves)
            made = await through(walk, pipelines, given)
            self.accepted = sum(shard.ref.rows for shard in made)
        return made

    def _candidates(self, walk: Walk, count: int) -> list[Shard]:
        live = walk.live
        size = live.sizes.of(count)
        folder, shards = self.seeds.store_candidates(live.root, self.candidates, count, size, live.run_id)
        walk.folders.add(folder)
        return shards

    def to_json(self, tallies: Iterable[BlockTally]) -> dict[str, Any]:
        """Return it for the report, as a JSON object.

        Args:
            tallies: What each block took.
        """
        total = sum((tally.counts for tally in tallies), Counts())
        surplus = max(0, self.accepted - self.target.rows)
        each = total.bought_usd / self.accepted if total.bought_known and self.accepted else None
        return {
            "rows": self.target.rows,
            "accepted": self.accepted,
            "candidates": self.candidates,
            "max_candidates": self.target.candidates,
            "rows_per_candidate": round(self.accepted / self.candidates, 4) if self.candidates else None,
            "waves": self.waves,
            "surplus": surplus,
            "surplus_usd": None if each is None else round(each * surplus, 6),
            "cost_per_accepted_usd": None if each is None else round(each, 8),
        }
