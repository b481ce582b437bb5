"""A run from start to report. Everything heavy is imported here, after the flow was found to be right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdg_prefect.engine.budgeting import open_spending, why_stopped
from sdg_prefect.engine.delivering import Target
from sdg_prefect.engine.flows import run_logger
from sdg_prefect.engine.keeping import Keeping
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.opening import close_live, open_live
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outcome import status_of
from sdg_prefect.engine.present import present
from sdg_prefect.engine.pulse import moment, watched_by
from sdg_prefect.engine.reaching import Reach, through
from sdg_prefect.engine.rejecting import rejects_of
from sdg_prefect.engine.results import StoreResults
from sdg_prefect.engine.reviewing import Reviews
from sdg_prefect.engine.seeding import Seeds
from sdg_prefect.engine.shard import Shard
from sdg_prefect.engine.steering import steered
from sdg_prefect.engine.stopping import BY_BUDGET, Phase, Stop
from sdg_prefect.engine.view import View
from sdg_prefect.engine.walking import Walk
from sdg_prefect.errors import BudgetReached, SdgError, as_store_error
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.models.spending import Spending
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.progress import Everyone, Observer
from sdg_prefect.report.rendering import headline
from sdg_prefect.report.run_report import BlockTally, RunReport
from sdg_prefect.store.integrity import telling
from sdg_prefect.store.root import Root
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
    warnings: Sequence[str] = ()
    tables: list[pa.Table] = field(default_factory=list)
    """The output's rows."""
    flow_run_ids: list[str] = field(default_factory=list)
    """Prefect's ids of the run and its subflows."""
    task_runs: int = 0
    final_report: RunReport | None = None
    """How the run ended, whether or not the store could keep it."""
    spending: Spending | None = None
    """Keeps the run within its budget, if it has one."""
    gateway: Gateway | None = None
    """Takes all calls, once the run has begun."""
    reviews: Reviews | None = None
    """Asks people about rows, once the run has begun."""

    def __post_init__(self) -> None:
        self.root = Root.chosen(self.options.storage)
        self.keeping = Keeping(self.root, self.run_id, self.plan, self.options, self.seeds.doubts)
        self.view = View(self.plan, self.options, self.root, self.run_id, self.flow_run_ids)
        self.observer = Everyone(self.observer, self.view.counting)
        self.tallies = {label: BlockTally(label) for label in self.plan.labels()}
        self.reach = None if self.plan.target is None else Reach(self.plan.target, self.seeds)
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
            self.gateway = self.stop.gateway = live.gateway
            self.observer.watch_calls(lambda: live.gateway.flying)
            live.claims = Unclaimed() if is_fresh else open_claims(self.root, heartbeat)
            self.reviews = live.reviews = Reviews(live, self.view)
            try:
                async with steered(self.view.name, self.flow_run_ids, self._begun, self.stop, self.view.deployed_id):
                    report = await self.view.as_flow(lambda: self._body(live), self.seeds.source)
            finally:
                await self.stop.ended()
                live.telemetry.ended(self.final_report)
                await close_live(live)
                live.claims.close()
        return report

    @property
    def rows(self) -> int:
        """How many seeds it takes, so far."""
        return (self.reach or self.seeds).rows

    def _begun(self) -> int:
        """Say how many task runs there were so far."""
        return self.stop.walk.task_runs if self.stop.walk is not None else 0

    def _warn(self, message: str) -> None:
        self.warnings = [*self.warnings, message]
        self.observer.say(message)

    async def _body(self, live: Live) -> RunReport:
        log, rows = run_logger(), self.rows
        storage = StoreResults(root=self.root.uri).for_run(self.run_id, retry_rejects=self.options.retry_rejects)
        walk = Walk(self.plan.name, live, storage, self.tallies, live.at_once(rows), flow_run_ids=self.flow_run_ids)
        self.observer.begin(self.plan.name, self.plan.labels(), rows)
        log.info("%s: %s rows in shards of %s, store %s", self.plan.name, rows, live.sizes.of(rows), self.root.uri)
        if many := live.sizes.too_many(rows):
            self.observer.say(many)
        self.started = time.perf_counter()
        try:
            looked_at = watched_by(self.keeping.timeline, lambda: moment(self.gateway, self.tallies.values()))
            async with self.view.while_it_goes(lambda: self.stop.notice), looked_at:
                report = await self._work(walk)
        except (SdgError, OSError) as error:
            failure = as_store_error(error)
            failure.report = await self._end(walk, failure.run_status, str(failure))
            await self._show(failure.report)
            raise failure from error.__cause__ if failure is error else error
        except asyncio.CancelledError:
            if not self.stop.is_ending:
                await self._end(walk, "interrupted")
                raise
            await self.stop.ended()
            if self.final_report is not None:
                await self._show(self.final_report)
            if (used_up := self._why_stopped) is None:
                raise
            used_up.report = self.final_report
            raise used_up from None
        log.info("%s", headline(report))
        await self._show(report)
        return report

    async def _show(self, report: RunReport) -> None:
        await self.view.ended(report, self.keeping.rejects, self.tables)

    @property
    def _why_stopped(self) -> BudgetReached | None:
        """What a run that its budget stopped says; None for any other."""
        if self.spending is None or self.stop.status != BY_BUDGET:
            return None
        return why_stopped(self.spending, self.rows, self.tallies.values())

    async def _work(self, walk: Walk) -> RunReport:
        """Take the seeds through all pipelines, and write the output and the report.

        Raises:
            CancelledError: The run was stopped.
        """
        shards = await asyncio.to_thread(self._seed_shards, walk.live)
        self.stop.walk = walk
        self.stop.go_on(Phase.WALKING)
        try:
            pipelines = self.plan.pipelines
            shards = await (self.reach.walked(walk, pipelines) if self.reach else through(walk, pipelines, shards))
        except (SdgError, OSError):
            # Whatever else went wrong while the run was being stopped is in its report.
            self.stop.go_on(Phase.WALKING)
            raise
        self.stop.go_on(Phase.WRITING)
        self.task_runs = walk.task_runs
        await self._keep_rejects(walk)
        known = (self.target, self.tallies, walk.made)
        self.tables = await walk.whole(shards, lambda whole: asyncio.to_thread(self.keeping.deliver, whole, *known))
        report = self.report(status_of(self.tallies.values(), self.tables, self.keeping.quarantined, self.reach))
        await self._keep(report)
        self.stop.phase = Phase.FINISHED
        return report

    async def _keep_interrupted(self) -> None:
        failure = self.stop.walk.failure if self.stop.walk else None
        await self._end(self.stop.walk, self.stop.status, f"{self._why_stopped or ''} {failure or ''}".strip())

    async def _end(self, walk: Walk | None, status: str, error: str = "") -> RunReport:
        """Keep what there is to report of a run that did not finish, if it can be kept."""
        report = self.final_report = self.report(status, error)
        try:
            if walk is not None:
                await self._keep_rejects(walk)
            await self._keep(report)
        except (SdgError, OSError) as unkept:
            self.observer.say(f"The report of the run could not be kept: {unkept}")
        return report

    def _seed_shards(self, live: Live) -> list[Shard]:
        """Say what the run uses, and put its seeds into the store."""
        size = live.sizes.of(self.seeds.rows)
        self.keeping.begin(folder := "" if self.reach else self.seeds.folder(size))
        return [] if self.reach else self.seeds.store(self.root, folder, size, self.run_id)

    async def _keep_rejects(self, walk: Walk) -> None:
        await asyncio.to_thread(self.keeping.keep_rejects, await rejects_of(walk))

    def report(self, status: str, error: str = "") -> RunReport:
        """Return the report as things stand."""
        return RunReport(
            status=status,
            run_id=self.run_id,
            flow=self.plan.name,
            rows_in=self.rows,
            rows_out=sum(table.num_rows for table in self.tables),
            blocks=list(self.tallies.values()),
            seconds=time.perf_counter() - self.started,
            output=self.options.output,
            storage=self.root.uri,
            error=error,
            ui_url=self.view.page,
            warnings=[*self.warnings, *(warning for tally in self.tallies.values() for warning in tally.warnings)],
            budget=None if self.spending is None else self.spending.to_json(),
            target=None if self.reach is None else self.reach.to_json(self.tallies.values()),
            parameters=self.plan.parameters,
            endpoints=() if self.gateway is None else self.gateway.tally(),
            version=self.target.version,
            reviews=() if self.reviews is None else self.reviews.decided,
            gates=[verdict.to_json() for verdict in self.keeping.gates.verdicts],
            rows_quarantined=self.keeping.quarantined,
        )

    async def _keep(self, report: RunReport) -> None:
        self.final_report = report
        await asyncio.to_thread(self.keeping.end, report, self.stop.walk)
