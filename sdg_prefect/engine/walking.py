"""The walk over a plan: shards stream through row-local steps, global steps wait, pipelines are subflows."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from prefect import Task
from prefect.utilities.annotations import opaque, quote

from sdg_prefect.engine.flows import as_flow
from sdg_prefect.engine.live import Live, ShardContext
from sdg_prefect.engine.results import StoreResults
from sdg_prefect.engine.tasks import Job, make_task
from sdg_prefect.frozen import digest
from sdg_prefect.plan.plan import PipelinePlan, Step
from sdg_prefect.report.run_report import BlockTally
from sdg_prefect.store.checkpoints import Checkpoint, checkpoint_folder
from sdg_prefect.store.shards import DatasetRef

_SHARDS_IN_FLIGHT = 64

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
    source: Checkpoint | None = None


@dataclass
class Walk:
    """Runs pipelines of a plan for one run."""

    flow_name: str
    live: Live
    storage: StoreResults
    tallies: dict[str, BlockTally]
    task_runs: int = 0
    flow_run_ids: list[str] = field(default_factory=list)
    reject_folders: list[str] = field(default_factory=list)
    _tasks: dict[int, Task[Any, Any]] = field(default_factory=dict)
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SHARDS_IN_FLIGHT))
    _at_work: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """By folder of the checkpoint: shards of equal content, as all empty ones are, share one."""
    _made: list[Checkpoint] = field(default_factory=list)
    _failed: bool = False

    async def pipeline(self, plan: PipelinePlan, shards: Sequence[Shard]) -> list[Shard]:
        """Run a pipeline as a subflow, as often as it says; rounds stand one after another."""
        if plan.times == 1:
            return await self._subflow(plan.name, plan, shards)
        gathered: list[Shard] = []
        for number in range(plan.times):
            given = [_moved(shard, shard.ref.in_round(number)) for shard in shards]
            made = await self._subflow(f"{plan.name} ({number + 1}/{plan.times})", plan, given)
            gathered += [_moved(shard, shard.ref, (number, *shard.order)) for shard in made]
        return _numbered(gathered)

    async def _subflow(self, run_name: str, plan: PipelinePlan, shards: Sequence[Shard]) -> list[Shard]:
        async def body() -> list[Shard]:
            return await self._steps(plan, list(shards))

        # Two flow files may have pipelines of one name, or one of the file's name; in Prefect each is a flow of its own.
        name = f"{self.flow_name}.{plan.name if plan.name != self.flow_name else 'pipeline'}"
        return await as_flow(name, run_name, body, self.flow_run_ids)

    async def _steps(self, plan: PipelinePlan, shards: list[Shard]) -> list[Shard]:
        steps = list(plan.steps)
        while steps:
            step = steps.pop(0)
            if isinstance(step, PipelinePlan):
                shards = await self.pipeline(step, shards)
            elif step.scope == "all":
                shards = await self._barrier(step, shards)
            else:
                chain = [step]
                while steps and isinstance(steps[0], Step) and steps[0].scope == "row":
                    chain.append(steps.pop(0))  # type: ignore[arg-type]
                streams = await _all([self._stream(chain, shard) for shard in shards])
                shards = _numbered([shard for stream in streams for shard in stream])
        return shards

    async def _stream(self, chain: Sequence[Step], shard: Shard) -> list[Shard]:
        """Take one shard through consecutive row-local steps, whatever the others do."""
        if not chain:
            return [shard]
        made = await self._rounds(chain[0], [shard])
        streams = await _all([self._stream(chain[1:], one) for one in made])
        return [one for stream in streams for one in stream]

    async def _barrier(self, step: Step, shards: Sequence[Shard]) -> list[Shard]:
        return _numbered(await self._rounds(step, sorted(shards, key=lambda shard: shard.order)))

    async def _rounds(self, step: Step, shards: Sequence[Shard]) -> list[Shard]:
        """Run a step on shards that it takes together, as often as it says."""
        if step.times == 1:
            return await self._task_run(step, shards)
        given = [[_moved(shard, shard.ref.in_round(number)) for shard in shards] for number in range(step.times)]
        rounds = await _all([self._task_run(step, one) for one in given])
        return [_moved(shard, shard.ref, (number, *shard.order)) for number, made in enumerate(rounds) for shard in made]

    async def _task_run(self, step: Step, shards: Sequence[Shard]) -> list[Shard]:
        """Run a block once: on one shard, or for a global block on all."""
        refs = tuple(shard.ref for shard in shards)
        contents = tuple(ref.content for ref in refs)
        folder = checkpoint_folder(step.key, step.checkpoint_key(contents))
        first = shards[0]
        place = f"[{first.number}/{first.of}]" if step.scope == "row" else "[1/1]"
        job = Job(self.live, step, ShardContext(self.live, step, digest(contents)), refs)
        async with self._at_work[folder], self._slots:
            if self._failed:
                raise asyncio.CancelledError("another shard failed")
            rows = sum(ref.rows for ref in refs)
            if not step.follows:
                self.live.observer.shard_started(step.label, rows)
            # Prefect knows a result by its identity, and by that of its parts. Opaque, for all results share the id of the run.
            sources = [opaque(shard.source) for shard in shards if shard.source is not None]
            try:
                self.task_runs += 1
                task = self._task(step)
                checkpoint: Checkpoint = await task(f"{step.name} {place}", folder, sources, quote(job))
            except Exception:
                self._failed = True
                raise
        self._tally(step, checkpoint, folder)
        # Kept, so that nothing else gets the identity of its parts and an edge to its task run.
        self._made.append(checkpoint)
        return [_part(shards, checkpoint, number) for number in range(len(checkpoint.parts))]

    def _task(self, step: Step) -> Task[Any, Any]:
        if id(step) not in self._tasks:
            self._tasks[id(step)] = make_task(step, self.storage)
        return self._tasks[id(step)]

    def _tally(self, step: Step, checkpoint: Checkpoint, folder: str) -> None:
        replayed = checkpoint.run_id != self.live.run_id
        self.tallies[step.label].add(checkpoint.counts, checkpoint.seconds, replayed=replayed, follows=step.follows)
        if checkpoint.counts.rejected:
            self.reject_folders.append(folder)
        if not step.follows:
            self.live.observer.shard_done(step.label, checkpoint.counts, replayed=replayed)


def _part(shards: Sequence[Shard], checkpoint: Checkpoint, number: int) -> Shard:
    first, parts = shards[0], len(checkpoint.parts)
    place = number * first.of + first.number
    return Shard(checkpoint.parts[number], (number, *first.order), place, parts * first.of, checkpoint)


def _moved(shard: Shard, ref: DatasetRef, order: tuple[int, ...] | None = None) -> Shard:
    return Shard(ref, shard.order if order is None else order, shard.number, shard.of, shard.source)


def _numbered(shards: Sequence[Shard]) -> list[Shard]:
    """Sort shards into the order of their rows and number them anew."""
    ordered = sorted(shards, key=lambda shard: shard.order)
    return [Shard(one.ref, (place,), place + 1, len(ordered), one.source) for place, one in enumerate(ordered)]


async def _all(jobs: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Await all; when one fails, the others end what they are at, and the first failure is raised."""
    results = await asyncio.gather(*jobs, return_exceptions=True)
    failures = [result for result in results if isinstance(result, BaseException)]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, asyncio.CancelledError)):
        raise failure
    return results  # type: ignore[return-value]
