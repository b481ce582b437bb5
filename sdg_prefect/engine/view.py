"""What a run shows in Prefect: its name, parameters and tags, its artifacts and events, and the state in which it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sdg_prefect.engine.artifacts import Artifacts
from sdg_prefect.engine.assets import tell_of_datasets
from sdg_prefect.engine.flows import as_flow
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outcome import allowed
from sdg_prefect.engine.progressing import progress_shown
from sdg_prefect.engine.states import completed
from sdg_prefect.engine.telling import tell_end
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.counting import Counting
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import REJECTS_FILE, REPORT_FILE

if TYPE_CHECKING:
    import pyarrow as pa

TAG = "sdg_prefect"
"""The tag of all runs."""


@dataclass
class View:
    """The view of one run."""

    plan: Plan
    options: RunOptions
    root: Root
    run_id: str
    flow_run_ids: list[str]
    """Prefect's ids of the run and its subflows, as they come to be known."""
    deployed_id: str = ""
    """Prefect's id of the flow run of a deployment that the run is a part of."""
    can_suspend: bool = False
    """True if it can wait for people without a process, for a worker takes it up again."""
    ui_url: str = ""
    """The address of Prefect's UI."""
    counting: Counting = field(default_factory=Counting)
    """Adds up what the run does."""

    @property
    def name(self) -> str:
        """The name of the flow run."""
        return f"{self.plan.name} {self.run_id}"

    @property
    def flow_run_id(self) -> str:
        """The flow run at which people look: that of the deployment, if there is one; empty where the server knows none."""
        return self.deployed_id or next(iter(self.flow_run_ids), "")

    @property
    def artifacts(self) -> Artifacts:
        """What it leaves with the flow run."""
        return Artifacts(self.plan.name, self.flow_run_id)

    @property
    def page(self) -> str:
        """The address of the run in the UI."""
        return f"{self.ui_url}/runs/flow-run/{self.flow_run_id}" if self.ui_url and self.flow_run_id else ""

    async def as_flow(self, body: Callable[[], Coroutine[Any, Any, RunReport]], seeds: str) -> RunReport:
        """Run a body as the flow run.

        Args:
            body: Does the work.
            seeds: Where the seeds are.
        """
        shown = {"flow": self.plan.file, "input": seeds, "output": self.options.output or "", "storage": self.root.uri}
        return await as_flow(self.plan.name, self.name, body, self.flow_run_ids, shown, self._tags, completed)

    @property
    def _tags(self) -> list[str]:
        """The tags of the flow run: its models, and what is special about it."""
        special = [word.replace("_", "-") for word in ("fresh", "retry_rejects") if getattr(self.options, word)]
        return [TAG, *sorted(self.plan.endpoints), *special]

    @asynccontextmanager
    async def while_it_goes(self, notice: Callable[[], str]) -> AsyncIterator[None]:
        """Show the plan, and how far the run is for as long as it goes on.

        Args:
            notice: Says what else there is to know; empty where there is nothing.
        """
        await self.artifacts.show_plan(self.plan)
        async with progress_shown(self.artifacts, self.counting, notice):
            yield

    async def ended(self, report: RunReport, rejects: Sequence[Reject], tables: Sequence[pa.Table] = ()) -> None:
        """Show how the run ended.

        Args:
            report: What it did.
            rejects: The rows that it rejected.
            tables: The output's rows, if it came so far.
        """
        left = self.artifacts
        if tables:
            await left.show_rows(tables[0])
            await left.show_output(report)
            tell_of_datasets(self.options.input, report)
        await left.show_rejects(rejects)
        await left.show_report(report, rejects, self._files(report, has_rejects=bool(rejects)))
        tell_end(report, is_allowed=not tables or allowed(report, self.plan, self.options))

    def _files(self, report: RunReport, *, has_rejects: bool) -> dict[str, str]:
        """Say where there is more."""
        folder = ("runs", self.run_id)
        files: dict[str, Any] = {"rows": report.output} if report.output and report.rows_out else {}
        files["report"] = self.root.url(*folder, REPORT_FILE)
        return files | ({"rejected rows": self.root.url(*folder, REJECTS_FILE)} if has_rejects else {})
