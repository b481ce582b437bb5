"""The walk where rows part: branches side by side, rounds one after another, and the way back into one order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from sdg_prefect.awaiting import all_ended
from sdg_prefect.engine.shard import Shard, numbered
from sdg_prefect.plan.plan import Fork, PipelinePlan, Repeat, Step

if TYPE_CHECKING:
    from sdg_prefect.engine.walking import Walk


async def fork(walk: Walk, plan: Fork, shards: Sequence[Shard]) -> list[Shard]:
    """Take rows through branches, all at once."""
    lanes = await _split(walk, plan.split, _at_home(shards))
    ways = zip(plan.branches, lanes, strict=False)
    gone = await all_ended([_branch(walk, branch, lane) for branch, lane in ways])
    return await _join(walk, plan.join, [*chain(*gone), *lanes[-1]], shards)


async def repeat(walk: Walk, plan: Repeat, shards: Sequence[Shard]) -> list[Shard]:
    """Take rows through a pipeline until each is done; those that are done wait beside it."""
    first = await walk.subflow(f"{plan.name} (1/{plan.most})", plan.body, shards)
    going, done = _at_home(first), list[Shard]()
    for number in range(2, plan.most + 1):
        lanes = await _split(walk, plan.split, going)
        done += lanes[1]
        given = [shard.moved(shard.ref.in_round(number - 1)) for shard in lanes[0] if shard.ref.rows]
        if not given:
            return await _join(walk, plan.join, done, first)
        going = await walk.subflow(f"{plan.name} ({number}/{plan.most})", plan.body, numbered(given))
    if plan.unmet is not None:
        going = list(chain(*await all_ended([walk.task_run(plan.unmet, [shard]) for shard in going])))
    return await _join(walk, plan.join, [*done, *going], first)


def _at_home(shards: Sequence[Shard]) -> list[Shard]:
    return [replace(shard, home=place) for place, shard in enumerate(shards)]


async def _split(walk: Walk, step: Step, shards: Sequence[Shard]) -> list[list[Shard]]:
    """Part the rows of each shard, or of all together where something on the way waits for all."""
    ordered = sorted(shards, key=lambda shard: shard.order)
    groups = [ordered] if step.scope == "all" else [[shard] for shard in ordered]
    parted = list(chain(*await all_ended([walk.task_run(step, group) for group in groups])))
    return [[shard for shard in parted if shard.lane == lane] for lane in range(max(shard.lane for shard in parted) + 1)]


async def _branch(walk: Walk, branch: PipelinePlan, lane: Sequence[Shard]) -> list[Shard]:
    """Take one lane through its branch; one that no row took costs nothing."""
    given = [shard for shard in lane if shard.ref.rows]
    return await walk.pipeline(branch, numbered(given)) if given else []


async def _join(walk: Walk, step: Step, shards: Sequence[Shard], before: Sequence[Shard]) -> list[Shard]:
    """Bring the rows of all lanes together, where they parted one shard at a time for each of those."""
    homes = [0] if step.scope == "all" else sorted({shard.home for shard in shards})
    groups = [[shard for shard in shards if step.scope == "all" or shard.home == home] for home in homes]
    named = [[replace(first, number=place, of=len(groups)), *rest] for place, (first, *rest) in enumerate(groups, 1)]
    joined = await all_ended([walk.task_run(step, group) for group in named])
    return numbered(
        [
            replace(shard, order=(home, *shard.order), home=before[home].home)
            for home, made in zip(homes, joined, strict=True)
            for shard in made
        ]
    )
