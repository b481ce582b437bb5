"""A run from start to report. Everything heavy is imported here, after the flow was found to be right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.engine.artifacts import show_plan, show_report, show_rows
from sdg_prefect.engine.budgeting import open_spending, why_stopped
from sdg_prefect.engine.cancelling import cancellable
from sdg_prefect.engine.delivering import Target, deliver
from sdg_prefect.engine.flows import as_flow, run_logger
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.opening import open_live
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.present import present
from sdg_prefect.engine.rejecting import rejects_of
from sdg_prefect.engine.results import StoreResults
from sdg_prefect.engine.seeding import Seeds
from sdg_prefect.engine.shard import Shard
from sdg_prefect.engine.stopping import BY_BUDGET, Phase, Stop
from sdg_prefect.engine.walking import Walk
from sdg_prefect.errors import BudgetReached, SdgError, as_store_error
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.models.spending import Spending
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.progress import Observer
from sdg_prefect.report.rendering import headline
from sdg_prefect.report.run_report import BlockTally, RunReport
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.integrity import telling
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import write_plan, write_rejects, write_report, write_uses
from sdg_prefect.store.sharing.claims import Unclaimed, open_claims

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class Run:
    """One execution of a plan."""

    plan: Plan
    options: RunOptions
    seeds: Seeds
    run_id: str
    observer: Observer
    target: Target
    ui_url: str = ""
    warnings: Sequence[str] = ()
    tables: list[pa.Table] = field(default_factory=list)
    """The output's rows."""
    flow_run_ids: list[str] = field(default_factory=list)
    """Prefect's ids of the run and its subflows."""
    task_runs: int = 0
    final_report: RunReport | None = None
    """How the run ended, whether or not the store could keep it."""
    uses: Mapping[str, Any] = field(default_factory=dict)
    """What the store knows the run to use; empty as long as it has not begun."""
    spending: Spending | None = None
    """Keeps the run within its budget, if it has one."""
    gateway: Gateway | None = None
    """Takes all calls, once the run has begun."""

    def __post_init__(self) -> None:
        self.root = Root.chosen(self.options.storage)
        self.tallies = {label: BlockTally(label) for label in self.plan.labels()}
        self.started = time.perf_counter()
        self.stop = Stop(self.observer, self._keep_interrupted)

    async def execute(self) -> RunReport:
        """Run the flow on Prefect and return its report.

        Raises:
            SdgError: The run could not finish. What was paid for is kept.
            CancelledError: It was stopped. What was paid for is kept.
        """
        self.stop.main = asyncio.current_task()
        here = present(self.root, self.run_id, self.plan.name, self.flow_run_ids)
        async with here as heartbeat, AsyncExitStack() as stack:
            stack.enter_context(telling(self.root, self._warn))
            is_fresh, spend = self.options.fresh, (self.plan.budget, self.root, self.plan.name, self.stop.ask_for_budget)
            self.spending = await asyncio.to_thread(open_spending, *spend, is_fresh=is_fresh)
            live = await open_live(self.plan, self.options, self.root, self.run_id, self.observer, self.spending, stack)
            self.gateway = live.gateway
            live.claims = Unclaimed() if is_fresh else open_claims(self.root, heartbeat)
            name = f"{self.plan.name} {self.run_id}"
            try:
                async with cancellable(name, self.flow_run_ids, self._begun, self.stop.ask):
                    report = await as_flow(self.plan.name, name, lambda: self._body(live), self.flow_run_ids, self._shown)
            finally:
                await self.stop.ended()
                await self._close(live)
                live.claims.close()
        return report

    def _begun(self) -> int:
        """Say how many task runs there were so far."""
        return self.stop.walk.task_runs if self.stop.walk is not None else 0

    def _warn(self, message: str) -> None:
        self.warnings = [*self.warnings, message]
        self.observer.say(message)

    async def _close(self, live: Live) -> None:
        try:
            await live.close()
        except (SdgError, OSError) as error:
            self.observer.say(f"The store could not be closed: {error}")
        if left := live.gateway.batches.left_behind:
            self.observer.say(left)

    @property
    def _shown(self) -> dict[str, str]:
        """What the UI shows as the parameters of the run."""
        return {"flow": self.plan.file, "input": self.seeds.source, "output": self.options.output or "", "storage": self.root.uri}

    async def _body(self, live: Live) -> RunReport:
        log = run_logger()
        await show_plan(self.plan)
        storage = StoreResults(root=self.root.uri).for_run(self.run_id, retry_rejects=self.options.retry_rejects)
        rows = self.seeds.rows
        walk = Walk(self.plan.name, live, storage, self.tallies, live.at_once(rows), flow_run_ids=self.flow_run_ids)
        self.observer.begin(self.plan.name, self.plan.labels(), rows)
        log.info("%s: %s rows in shards of %s, store %s", self.plan.name, rows, live.sizes.of(rows), self.root.uri)
        if many := live.sizes.too_many(rows):
            self.observer.say(many)
        self.started = time.perf_counter()
        try:
            report = await self._work(walk)
        except (SdgError, OSError) as error:
            failure = as_store_error(error)
            failure.report = await self._end(walk, "failed", str(failure))
            await show_report(failure.report)
            raise failure from error.__cause__ if failure is error else error
        except asyncio.CancelledError:
            if not self.stop.is_ending:
                await self._end(walk, "interrupted")
            elif self.stop.status == BY_BUDGET:
                raise await self._out_of_budget() from None
            raise
        log.info("%s", headline(report))
        await show_rows(self.plan.name, self.tables[0])
        await show_report(report)
        return report

    async def _out_of_budget(self) -> BudgetReached:
        """Return the error of a run that its budget stopped, once its report is kept."""
        await self.stop.ended()
        failure = BudgetReached(self._why_stopped)
        failure.report = self.final_report
        if self.final_report is not None:
            await show_report(self.final_report)
        return failure

    @property
    def _why_stopped(self) -> str:
        """What a run that its budget stopped says; empty for any other."""
        if self.spending is None or self.stop.status != BY_BUDGET:
            return ""
        return why_stopped(self.spending, self.seeds.rows, self.tallies.values())

    async def _work(self, walk: Walk) -> RunReport:
        """Take the seeds through all pipelines, and write the output and the report.

        Raises:
            CancelledError: The run was stopped.
        """
        shards = await asyncio.to_thread(self._seed_shards, walk.live)
        self.stop.walk = walk
        self.stop.go_on(Phase.WALKING)
        try:
            for pipeline in self.plan.pipelines:
                shards = await walk.pipeline(pipeline, shards)
        except (SdgError, OSError):
            # Whatever else went wrong while the run was being stopped is in its report.
            self.stop.go_on(Phase.WALKING)
            raise
        self.stop.go_on(Phase.WRITING)
        self.task_runs = walk.task_runs
        where = (self.plan.output_columns, self.target, self.run_id, await self._keep_rejects(walk))
        self.tables = await walk.whole(shards, lambda whole: asyncio.to_thread(deliver, self.root, whole, *where))
        has_rejects = any(tally.counts.rejected for tally in self.tallies.values())
        self._keep(report := self.report("completed_with_rejects" if has_rejects else "completed"))
        self.stop.phase = Phase.FINISHED
        return report

    async def _keep_interrupted(self) -> None:
        failure = self.stop.walk.failure if self.stop.walk else None
        await self._end(self.stop.walk, self.stop.status, f"{self._why_stopped} {failure or ''}".strip())

    async def _end(self, walk: Walk | None, status: str, error: str = "") -> RunReport:
        """Keep what there is to report of a run that did not finish, if it can be kept."""
        report = self.final_report = self.report(status, error)
        try:
            if walk is not None:
                await self._keep_rejects(walk)
            self._keep(report)
        except (SdgError, OSError) as unkept:
            self.observer.say(f"The report of the run could not be kept: {unkept}")
        return report

    def _seed_shards(self, live: Live) -> list[Shard]:
        """Say what the run uses, and put its seeds into the store."""
        size = live.sizes.of(self.seeds.rows)
        self.uses = self.plan.uses() | {"input": (folder := self.seeds.folder(size))}
        write_uses(self.root, self.run_id, self.uses)
        return self.seeds.store(self.root, folder, size, self.run_id)

    async def _keep_rejects(self, walk: Walk) -> list[Reject]:
        if rejects := await rejects_of(walk):
            await asyncio.to_thread(write_rejects, self.root, self.run_id, rejects)
        return rejects

    def report(self, status: str, error: str = "") -> RunReport:
        """Return the report as things stand."""
        return RunReport(
            status=status,
            run_id=self.run_id,
            flow=self.plan.name,
            rows_in=self.seeds.rows,
            rows_out=sum(table.num_rows for table in self.tables),
            blocks=list(self.tallies.values()),
            seconds=time.perf_counter() - self.started,
            output=self.options.output,
            storage=self.root.uri,
            error=error,
            ui_url=self._page,
            warnings=self.warnings,
            budget=None if self.spending is None else self.spending.to_json(),
            endpoints=() if self.gateway is None else self.gateway.tally(),
            version=self.target.version,
        )

    @property
    def _page(self) -> str:
        """The address of the run in Prefect's UI."""
        return f"{self.ui_url}/runs/flow-run/{self.flow_run_ids[0]}" if self.ui_url and self.flow_run_ids else ""

    def _keep(self, report: RunReport) -> None:
        if self.stop.walk is not None:
            write_uses(self.root, self.run_id, {**self.uses, "checkpoints": sorted(self.stop.walk.folders)})
        self.final_report = report
        write_plan(self.root, self.run_id, str(self.plan))
        write_report(self.root, self.run_id, report.to_json())
