"""What a run leaves in Prefect's UI besides its states: the plan, the report, rows, rejected ones, and where the rest is."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from prefect.artifacts import Artifact, LinkArtifact, MarkdownArtifact, TableArtifact

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.funnel import bars, reasons
from sdg_prefect.report.inert import fenced, plain
from sdg_prefect.report.rendering import report_markdown
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.rows import without_ids
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.root import is_remote

if TYPE_CHECKING:
    import pyarrow as pa

A = TypeVar("A", bound=Artifact)

_SAMPLE_ROWS = 5
_SHOWN_REJECTS = 20
_SHOWN_REASONS = 10
_CELL = 300
_LONGEST = 15.0
"""Seconds that leaving an artifact may hold up the run."""


@dataclass(frozen=True)
class Artifacts:
    """The artifacts of one run."""

    flow: str
    """Name of its flow."""
    flow_run_id: str
    """The flow run at which people look; that of the moment if empty."""

    async def show_plan(self, plan: Plan) -> None:
        """Leave the plan with the run."""
        await self._leave(MarkdownArtifact, "plan", f"Plan of {self.flow}", markdown=fenced(str(plan)))

    async def show_report(self, report: RunReport, rejects: Sequence[Reject], files: Mapping[str, str]) -> None:
        """Leave the report with the run.

        Args:
            report: The report.
            rejects: The rows that the run rejected.
            files: Where more is to be found, by what it is.
        """
        drawn = bars(report.rows_in, {tally.name: tally.counts.rows_out for tally in report.blocks})
        why = reasons(Counter((one.block, one.error) for one in rejects), _SHOWN_REASONS)
        places = [f"- {what}: {link(place)}" for what, place in files.items()]
        text = "\n\n".join([report_markdown(report), *("\n".join(part) for part in (drawn, why, places) if part)])
        await self._leave(MarkdownArtifact, "report", f"Report of {self.flow}", markdown=text)

    async def show_output(self, report: RunReport) -> None:
        """Leave the address of the output with the run."""
        if report.output is not None:
            words = f"{report.rows_out:,} rows: {report.output}"
            await self._leave(LinkArtifact, "output", f"Output of {self.flow}", link=address(report.output), link_text=words)

    async def show_rows(self, table: pa.Table) -> None:
        """Leave the first rows of the output with the run."""
        await self.show_table("rows", without_ids(table.slice(0, _SAMPLE_ROWS)).to_pylist(), f"First rows of {self.flow}")

    async def show_rejects(self, rejects: Sequence[Reject]) -> None:
        """Leave the first rejected rows with the run, and why they were."""
        rows = [
            {
                "block": one.block,
                "error": one.error,
                "message": one.message,
                "row": one.row,
                "reply": one.raw,
                "row id": one.row_id,
            }
            for one in rejects[:_SHOWN_REJECTS]
        ]
        await self.show_table("rejects", rows, f"{len(rows):,} of {len(rejects):,} rejected rows of {self.flow}")

    async def show_table(self, what: str, rows: Iterable[Mapping[str, Any]], description: str) -> None:
        """Leave some rows with the run; long values are cut. Nothing where there are none.

        Args:
            what: Word of the key.
            rows: The rows.
            description: What they are.
        """
        table = [{name: _cell(value) for name, value in row.items()} for row in rows]
        if table:
            await self._leave(TableArtifact, what, description, table=table)

    def progress(self, markdown: str) -> MarkdownArtifact:
        """Return the artifact of how far the run is, which has yet to be made on the server."""
        return self._made(MarkdownArtifact, "progress", f"How far {self.flow} is", markdown=markdown)

    async def _leave(self, kind: type[Artifact], what: str, description: str, **content: Any) -> None:
        """An artifact is a view: a run does not fail for want of one."""
        from sdg_prefect.engine.log import logger

        try:
            async with asyncio.timeout(_LONGEST):
                await self._made(kind, what, description, **content).acreate()
        except (*SERVER_LOST, TimeoutError) as error:
            logger.warning("an artifact could not be left with Prefect: %s", type(error).__name__)

    def _made(self, kind: type[A], what: str, description: str, **content: Any) -> A:
        flow_run_id = UUID(self.flow_run_id) if self.flow_run_id else None
        return kind(key=key_of(self.flow, what), description=description, flow_run_id=flow_run_id, **content)


def key_of(*words: str) -> str:
    """Make a key as Prefect wants it: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def address(place: str) -> str:
    """Return a path or an address as an address."""
    return place if is_remote(place) else Path(place.removeprefix("file://")).expanduser().resolve().as_uri()


def link(place: str) -> str:
    """Write a place as a link in Markdown."""
    return f"[{place}]({address(place).replace(')', '%29')})"


def _cell(value: Any) -> Any:
    text = plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"
