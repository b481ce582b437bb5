"""The walk over a plan: shards stream through row-local steps, global steps wait, pipelines are subflows."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from prefect import Task
from prefect.utilities.annotations import opaque, quote

from sdg_prefect.accounting import check_chain
from sdg_prefect.awaiting import all_ended
from sdg_prefect.engine.claiming import Claiming
from sdg_prefect.engine.flows import as_flow
from sdg_prefect.engine.forking import fork, repeat
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.results import StoreResults
from sdg_prefect.engine.shard import Shard, numbered, parts_of, used_whole
from sdg_prefect.engine.tasks import Job, make_task
from sdg_prefect.errors import SdgError
from sdg_prefect.plan.plan import Fork, PipelinePlan, Repeat, Step
from sdg_prefect.report.run_report import BlockTally
from sdg_prefect.store.checkpoints import Checkpoint, checkpoint_folder
from sdg_prefect.store.integrity import Damaged
from sdg_prefect.store.trail import Made

T = TypeVar("T")


@dataclass
class Walk:
    """Runs pipelines of a plan for one run."""

    flow_name: str
    live: Live
    storage: StoreResults
    tallies: dict[str, BlockTally]
    at_once: int
    """Shards at work at most."""
    task_runs: int = 0
    flow_run_ids: list[str] = field(default_factory=list)
    rejecting: list[Shard] = field(default_factory=list)
    """A part of each checkpoint with rejected rows."""
    folders: set[str] = field(default_factory=set)
    """Folders of the checkpoints that it made, found or began."""
    _tasks: dict[str, Task[Any, Any]] = field(default_factory=dict)
    _at_work: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """By folder of the checkpoint: shards of equal content, as all empty ones are, share one."""
    made: list[Made] = field(default_factory=list)
    """What came of what. Keeps all checkpoints: nothing else may get the identity of their parts, and an edge to a task run."""
    _open: dict[str, asyncio.Task[Checkpoint]] = field(default_factory=dict)
    """Task runs that have begun, by folder of the checkpoint."""
    wave: int = 0
    """Which time it goes through the plan, from 1, if it does so several times; see ``Reach``."""
    known: dict[str, Checkpoint] = field(default_factory=dict)
    """What it has made on the way before."""
    failure: Exception | None = None
    """The first one; the others end what they are at."""

    def __post_init__(self) -> None:
        self._claiming = Claiming(self.live, asyncio.Semaphore(self.at_once))

    def stop(self) -> None:
        """Begin nothing more: no call, no task run, no retry. What is at work goes on for as long as it is not given up."""
        self.live.gateway.stop()
        self._cancel(self.live.at_rest)

    async def drain(self, seconds: float) -> None:
        """Wait until the shards at work have ended with the calls that they were waiting for; then give them up."""
        if self._open:
            await asyncio.wait(self._open.values(), timeout=seconds)
        self.give_up()

    def give_up(self) -> None:
        """End all task runs now; the calls that they wait for are lost."""
        self._cancel(self._open)

    def _cancel(self, folders: Collection[str]) -> None:
        for folder in [folder for folder in folders if folder in self._open]:
            # Taken out, for to cancel twice would disturb Prefect in recording it.
            self._open.pop(folder).cancel()

    async def pipeline(self, plan: PipelinePlan, shards: Sequence[Shard]) -> list[Shard]:
        """Run a pipeline as a subflow, as often as it says; rounds stand one after another."""
        if plan.times == 1:
            return await self.subflow(plan.name, plan, shards)
        gathered: list[Shard] = []
        for number in range(plan.times):
            given = [shard.moved(shard.ref.in_round(number)) for shard in shards]
            made = await self.subflow(f"{plan.name} ({number + 1}/{plan.times})", plan, given)
            gathered += [shard.moved(shard.ref, (number, *shard.order)) for shard in made]
        return numbered(gathered)

    async def subflow(self, run_name: str, plan: PipelinePlan, shards: Sequence[Shard]) -> list[Shard]:
        """Run a pipeline once."""
        await self.live.gateway.released()

        async def body() -> list[Shard]:
            with self.live.telemetry.pipeline(plan.name):
                return await self._steps(plan, list(shards))

        # Two flow files may have pipelines of one name, or one of the file's name; in Prefect each is a flow of its own.
        name = f"{self.flow_name}.{plan.name if plan.name != self.flow_name else 'pipeline'}"
        shown = f"{run_name}, wave {self.wave}" if self.wave > 1 else run_name
        return await as_flow(name, shown, body, self.flow_run_ids)

    async def _steps(self, plan: PipelinePlan, shards: list[Shard]) -> list[Shard]:
        steps = list(plan.steps)
        while steps:
            step = steps.pop(0)
            if isinstance(step, PipelinePlan):
                shards = await self.pipeline(step, shards)
            elif isinstance(step, Fork):
                shards = await fork(self, step, shards)
            elif isinstance(step, Repeat):
                shards = await repeat(self, step, shards)
            elif step.scope == "all":
                shards = numbered(await self._rounds(step, sorted(shards, key=lambda shard: shard.order)))
            else:
                chain = [step]
                while steps and isinstance(steps[0], Step) and steps[0].scope == "row":
                    chain.append(steps.pop(0))  # type: ignore[arg-type]
                streams = await all_ended([self._stream(chain, shard) for shard in shards])
                shards = numbered([shard for stream in streams for shard in stream])
        return shards

    async def _stream(self, chain: Sequence[Step], shard: Shard) -> list[Shard]:
        """Take one shard through consecutive row-local steps, whatever the others do."""
        if not chain:
            return [shard]
        made = await self._rounds(chain[0], [shard])
        streams = await all_ended([self._stream(chain[1:], one) for one in made])
        return [one for stream in streams for one in stream]

    async def _rounds(self, step: Step, shards: Sequence[Shard]) -> list[Shard]:
        """Run a step on shards that it takes together, as often as it says."""
        if step.times == 1:
            return await self.task_run(step, shards)
        given = [[shard.moved(shard.ref.in_round(number)) for shard in shards] for number in range(step.times)]
        rounds = await all_ended([self.task_run(step, one) for one in given])
        return [shard.moved(shard.ref, (number, *shard.order)) for number, made in enumerate(rounds) for shard in made]

    async def task_run(self, step: Step, shards: Sequence[Shard]) -> list[Shard]:
        """Run a block once: on one shard, or for a global block on all."""
        what = step.checkpoint_key(tuple(shard.ref.content for shard in shards))
        known = self.known.get(what)
        try:
            checkpoint = known or await self._checkpoint(step, shards)
            given, made_rows = (sum(ref.rows for ref in refs) for refs in ((one.ref for one in shards), checkpoint.parts))
            check_chain(step.name, given, checkpoint.counts, made_rows)
        except SdgError as error:
            self._fail(error)
            raise
        made = parts_of(checkpoint, shards, partial(self._checkpoint, step, shards, is_again=True))
        if self.wave:
            self.known[what] = checkpoint
        self._tally(step, checkpoint, is_known=known is not None)
        if checkpoint.rejects is not None:
            self.rejecting.append(made[0])
        return made

    async def _checkpoint(self, step: Step, shards: Sequence[Shard], *, is_again: bool = False) -> Checkpoint:
        """Make a checkpoint, or find it.

        Args:
            step: The block.
            shards: What it works on.
            is_again: True if the checkpoint was there in this run, and its data was found damaged.
        """
        is_shown = not is_again

        async def make(shards: Sequence[Shard]) -> Checkpoint:
            asked = await self.live.reviewed(step, [shard.ref for shard in shards])
            key = asked.checkpoint_key(tuple(shard.ref.content for shard in shards))
            folder = checkpoint_folder(step.key, key)
            self.folders.add(folder)

            async def work() -> Checkpoint:
                nonlocal is_shown
                is_first, is_shown = is_shown, False
                return await self._worked(asked, shards, folder, is_shown=is_first)

            async with self._at_work[folder]:
                return await self._claiming.work_on(key, lambda: self.storage.holds(folder, is_suspect=is_again), work)

        checkpoint = await self.whole(shards, make)
        self.made.append(Made(step.label, tuple(shard.ref for shard in shards), checkpoint.parts, checkpoint))
        return checkpoint

    async def whole(self, shards: Sequence[Shard], use: Callable[[Sequence[Shard]], Awaitable[T]]) -> T:
        """Use shards. If the data of some is found damaged, it is made again, from the ledger where models were asked."""
        return await used_whole(shards, use, lambda: not self.live.gateway.is_stopped)

    async def _worked(self, step: Step, shards: Sequence[Shard], folder: str, *, is_shown: bool) -> Checkpoint:
        """Make the task run of a block."""
        await self.live.gateway.released()
        refs = tuple(shard.ref for shard in shards)
        first = shards[0]
        place = f"[{first.number}/{first.of}]" if step.scope == "row" else "[1/1]"
        if is_shown:
            self.live.observer.shard_started(step.label, sum(ref.rows for ref in refs))
        # Prefect knows a result by its identity and its parts'. Opaque, for all results share the id of the run.
        sources = [opaque(shard.source) for shard in shards if shard.source is not None]
        self.task_runs += 1
        with self.live.telemetry.shard(step, place, self.live.run_id) as told:
            job = Job.of(self.live, step, refs, folder)
            task_run = asyncio.ensure_future(self._task(step)(f"{step.name} {place}", folder, sources, quote(job)))
            made = await self._ended(folder, task_run, job)
            told(made)
            return made

    async def _ended(self, folder: str, task_run: asyncio.Task[Checkpoint], job: Job) -> Checkpoint:
        """Wait for a task run. If it fails or is given up, what it has paid for is counted all the same."""
        self._open[folder] = task_run
        try:
            checkpoint = await task_run
            if self.storage.failure is not None:
                # Prefect goes on without a record that it could not write.
                raise self.storage.failure
            return checkpoint
        except (Exception, asyncio.CancelledError) as error:
            self.tallies[job.assignment.step.label].counts += job.asking.counts
            if isinstance(error, Exception) and not isinstance(error, Damaged):
                self._fail(error)
            raise
        finally:
            self._open.pop(folder, None)

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or error
        self.stop()

    def _task(self, step: Step) -> Task[Any, Any]:
        return self._tasks.get(step.label) or self._tasks.setdefault(step.label, make_task(step, self.storage))

    def _tally(self, step: Step, checkpoint: Checkpoint, *, is_known: bool) -> None:
        replayed, tally = checkpoint.run_id != self.live.run_id, self.tallies[step.label]
        if is_known:
            tally.add_again(checkpoint.counts, replayed=replayed, seen=checkpoint.seen)
            return
        for warning in tally.add(checkpoint.counts, checkpoint.seconds, replayed=replayed, seen=checkpoint.seen):
            self.live.observer.say(f"warning: {warning}")
        self.live.observer.shard_done(step.label, checkpoint.counts, replayed=replayed)
        for kind, rows in checkpoint.why.items():
            self.live.observer.problem(step.label, kind, rows=rows)
