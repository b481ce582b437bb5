"""What a run leaves in Prefect's UI besides its states: the plan, the report, a few rows."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.rendering import report_markdown
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.rows import without_ids

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE_ROWS = 5
_CELL = 300
_LONGEST = 15.0
"""Seconds that leaving an artifact may hold up the run."""


async def show_plan(plan: Plan) -> None:
    """Leave the plan with the run."""
    markdown = f"```text\n{plan}\n```"
    await _quietly(acreate_markdown_artifact, key=_key(plan.name, "plan"), markdown=markdown, description=f"Plan of {plan.name}")


async def show_report(report: RunReport) -> None:
    """Leave the report with the run."""
    key = _key(report.flow, "report")
    await _quietly(acreate_markdown_artifact, key=key, markdown=report_markdown(report), description=f"Report of {report.flow}")


async def show_rows(flow: str, table: pa.Table) -> None:
    """Leave the first rows of the output with the run."""
    rows = [{name: _cell(value) for name, value in row.items()} for row in without_ids(table.slice(0, _SAMPLE_ROWS)).to_pylist()]
    if rows:
        await _quietly(acreate_table_artifact, key=_key(flow, "rows"), table=rows, description=f"First rows of {flow}")


async def _quietly(create: Any, **content: Any) -> None:
    """An artifact is a view: a run does not fail for want of one."""
    from sdg_prefect.engine.log import logger

    try:
        async with asyncio.timeout(_LONGEST):
            await create(**content)
    except (*SERVER_LOST, TimeoutError) as error:
        logger.warning("an artifact could not be left with Prefect: %s", type(error).__name__)


def _key(*words: str) -> str:
    """Make a key as Prefect wants it: lower case, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(words).lower()).strip("-")


def _cell(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"
