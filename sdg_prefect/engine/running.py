"""A run from start to report. Everything heavy is imported here, after the flow was found to be right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sdg_prefect.engine.artifacts import show_plan, show_report, show_rows
from sdg_prefect.engine.flows import as_flow
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.results import StoreResults
from sdg_prefect.engine.walking import Shard, Walk
from sdg_prefect.errors import SdgError
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.plan.plan import Plan
from sdg_prefect.plan.sharding import MAX_TASK_RUNS, Sizes, cut
from sdg_prefect.report.progress import Observer
from sdg_prefect.report.rendering import headline
from sdg_prefect.report.run_report import BlockTally, RunReport
from sdg_prefect.rows import fingerprint, with_rows
from sdg_prefect.settings import settings
from sdg_prefect.store.checkpoints import read_rejects
from sdg_prefect.store.output import unified_schema, write_output
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import write_rejects, write_report, write_uses
from sdg_prefect.store.shards import DatasetRef, read_shard, write_shards

if TYPE_CHECKING:
    import pyarrow as pa

_THREADS = 64


@dataclass
class Run:
    """One execution of a plan."""

    plan: Plan
    options: RunOptions
    seeds: pa.Table
    run_id: str
    observer: Observer
    ui_url: str = ""
    warnings: Sequence[str] = ()
    tables: list[pa.Table] = field(default_factory=list)
    """The output's rows."""
    flow_run_ids: list[str] = field(default_factory=list)
    """Prefect's ids of the run and its subflows."""
    task_runs: int = 0

    def __post_init__(self) -> None:
        self.root = Root.at(self.options.storage or settings().storage)
        self.tallies = {label: BlockTally(label) for label in self.plan.labels()}
        self.started = time.perf_counter()
        self.rows_out = 0

    async def execute(self) -> RunReport:
        """Run the flow on Prefect and return its report.

        Raises:
            SdgError: The run could not finish. What was paid for is kept.
        """
        with ExitStack() as stack:
            live = self._open(stack)
            try:
                name = f"{self.plan.name} {self.run_id}"
                report = await as_flow(self.plan.name, name, lambda: self._body(live), self.flow_run_ids, self._shown)
            finally:
                await live.close()
        return report

    @property
    def _shown(self) -> dict[str, str]:
        """What the UI shows as the parameters of the run."""
        seeds = self.options.input if isinstance(self.options.input, str) else f"{self.seeds.num_rows} rows in memory"
        return {"flow": self.plan.file, "input": seeds, "output": self.options.output or "", "storage": self.root.uri}

    def _open(self, stack: ExitStack) -> Live:
        concurrency = self.options.concurrency or settings().concurrency
        endpoints = {name: self._limited(endpoint) for name, endpoint in self.plan.endpoints.items()}
        endpoints = serve_simulated(endpoints, stack)
        gateway = Gateway(endpoints, connect, settings().model_copy(update={"concurrency": concurrency}))
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="shard")
        sizes = Sizes(self.options.shard_size, len(self.plan.steps()))
        return Live(self.root, gateway, self.observer, self.run_id, sizes, threads, asyncio.get_running_loop())

    def _limited(self, endpoint: Endpoint) -> Endpoint:
        """Let ``--concurrency`` bound an endpoint from above."""
        wanted = self.options.concurrency
        if wanted is None or endpoint.max_concurrency is None:
            return endpoint
        return endpoint.model_copy(update={"max_concurrency": min(wanted, endpoint.max_concurrency)})

    async def _body(self, live: Live) -> RunReport:
        from prefect.logging import get_run_logger

        log = get_run_logger()
        await show_plan(self.plan)
        storage = StoreResults(root=self.root.uri).for_run(self.run_id)
        await storage._save(is_anonymous=True)
        walk = Walk(self.plan.name, live, storage, self.tallies, flow_run_ids=self.flow_run_ids)
        self.observer.begin(self.plan.name, self.plan.labels(), self.seeds.num_rows)
        rows = self.seeds.num_rows
        log.info("%s: %s rows in shards of %s, store %s", self.plan.name, rows, live.sizes.of(rows), self.root.uri)
        self._warn_of_many_task_runs(live)
        self.started = time.perf_counter()
        try:
            shards = await asyncio.to_thread(self._seed_shards, live)
            for pipeline in self.plan.pipelines:
                shards = await walk.pipeline(pipeline, shards)
            await asyncio.to_thread(self._write, shards)
        except (SdgError, asyncio.CancelledError) as error:
            await self._keep_rejects(walk)
            report = self.report("interrupted" if isinstance(error, asyncio.CancelledError) else "failed", str(error))
            self._keep(report)
            if isinstance(error, SdgError):
                error.report = report
                await show_report(report)
            raise
        self.task_runs = walk.task_runs
        await self._keep_rejects(walk)
        report = self.report(self._status())
        self._keep(report)
        log.info("%s", headline(report))
        await show_rows(self.plan.name, self.tables[0] if self.tables else self.seeds.slice(0, 0))
        await show_report(report)
        return report

    def _warn_of_many_task_runs(self, live: Live) -> None:
        rows, steps = self.seeds.num_rows, len(self.plan.steps())
        task_runs = len(cut(rows, live.sizes.of(rows))) * steps
        if task_runs > MAX_TASK_RUNS:
            self.observer.say(
                f"shards of {live.sizes.of(rows)} rows make {task_runs:,} task runs or more; Prefect's server carries about "
                f"{MAX_TASK_RUNS:,}. Leave --shard-size away to have them sized."
            )

    def _seed_shards(self, live: Live) -> list[Shard]:
        """Put the seeds into the store."""
        size = live.sizes.of(self.seeds.num_rows)
        pieces = cut(self.seeds.num_rows, size)
        parts = [self.seeds.slice(start, length) for start, length in pieces]
        folder = f"inputs/{fingerprint(self.seeds)}-{size}"
        write_uses(self.root, self.run_id, self.plan.uses() | {"input": folder})
        refs: list[DatasetRef] = write_shards(self.root, folder, parts)
        return [Shard(ref, (place,), place + 1, len(refs)) for place, ref in enumerate(refs)]

    def _write(self, shards: Sequence[Shard]) -> None:
        """Write the output, shard by shard, in the order of the seeds."""
        tables = with_rows([read_shard(self.root, shard.ref) for shard in shards])
        schema = unified_schema([table.schema for table in tables])
        if self.plan.output_columns is not None:
            names = [schema.names[0], *(name for name in self.plan.output_columns if name in schema.names)]
            tables = [table.select([name for name in names if name in table.column_names]) for table in tables]
            schema = unified_schema([table.schema for table in tables])
        self.rows_out = sum(table.num_rows for table in tables)
        self.tables = tables
        if self.options.output is not None:
            write_output(self.options.output, iter(tables), schema, keep_ids=self.options.keep_ids)

    async def _keep_rejects(self, walk: Walk) -> None:
        def read() -> None:
            rejects = [reject for folder in walk.reject_folders for reject in read_rejects(self.root, folder)]
            write_rejects(self.root, self.run_id, rejects)

        if walk.reject_folders:
            await asyncio.to_thread(read)

    def _status(self) -> str:
        rejected = sum(tally.counts.rejected for tally in self.tallies.values())
        return "completed_with_rejects" if rejected else "completed"

    def report(self, status: str, error: str = "") -> RunReport:
        """Return the report as things stand."""
        return RunReport(
            status=status,
            run_id=self.run_id,
            flow=self.plan.name,
            rows_in=self.seeds.num_rows,
            rows_out=self.rows_out,
            blocks=list(self.tallies.values()),
            seconds=time.perf_counter() - self.started,
            output=self.options.output,
            storage=self.root.uri,
            error=error,
            ui_url=self._page,
            warnings=self.warnings,
        )

    @property
    def _page(self) -> str:
        """The address of the run in Prefect's UI."""
        return f"{self.ui_url}/runs/flow-run/{self.flow_run_ids[0]}" if self.ui_url and self.flow_run_ids else ""

    def _keep(self, report: RunReport) -> None:
        write_report(self.root, self.run_id, str(self.plan), report.to_json())


def serve_simulated(endpoints: dict[str, Endpoint], stack: ExitStack) -> dict[str, Endpoint]:
    """Start the simulated model if any endpoint wants it, and say where it is."""
    if not any(endpoint.is_simulated and endpoint.api_base is None for endpoint in endpoints.values()):
        return endpoints
    from sdg_prefect.simulator import SimulatedModel

    server = stack.enter_context(SimulatedModel())
    return {
        name: endpoint.model_copy(update={"api_base": server.url})
        if endpoint.is_simulated and endpoint.api_base is None
        else endpoint
        for name, endpoint in endpoints.items()
    }


def allowed(report: RunReport, plan: Plan, options: RunOptions) -> bool:
    """True if the rejects of a run are within what was allowed."""
    rejected = report.total.rejected
    if not rejected or options.allow_rejects:
        return True
    rows = max((tally.counts.rows_in for tally in report.blocks), default=0)
    return plan.max_reject_rate > 0 and rejected <= plan.max_reject_rate * max(1, rows)
