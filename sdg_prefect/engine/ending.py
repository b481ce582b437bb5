"""How the flow run of a deployment ends: in a state of Prefect's own name, with a tag that says more."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.states import Failed

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.outcome import MISSED, QUARANTINED, allowed
from sdg_prefect.engine.running import Run
from sdg_prefect.engine.states import NAMES, completed_plainly, name_of
from sdg_prefect.report.rendering import headline
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import QUARANTINE_FILE, REJECTS_FILE

_TOO_MANY_REJECTS = "Too many rejects"


def _tag_of(name: str) -> str:
    """Return a tag for one of our names of ends; the lists of the UI hide tags that are long."""
    return name.lower().removeprefix("completed ")


_TAGS = frozenset(_tag_of(name) for name in (*NAMES.values(), _TOO_MANY_REJECTS))


async def ended(flow_run_id: UUID, report: RunReport, this: Run | None) -> State[Any]:
    """Return the state in which a flow run ends, and tag it with what happened.

    Args:
        flow_run_id: The flow run.
        report: What the run did.
        this: The run; None where there was nothing to do.
    """
    if this is None or allowed(report, this.plan, this.options):
        await _tag(flow_run_id, name_of(report))
        return completed_plainly(report, report.to_json())
    is_for_rejects = report.status not in (MISSED, QUARANTINED)
    await _tag(flow_run_id, _TOO_MANY_REJECTS if is_for_rejects else name_of(report))
    return Failed(message=_why(report, this.root))


def _why(report: RunReport, root: Root) -> str:
    """Say why a run failed that came to its end."""
    if report.status == MISSED:
        return f"{headline(report)}. Raise max_candidates, or set allow_missed."
    folder = ("runs", report.run_id)
    if report.status == QUARANTINED:
        return f"{headline(report)}. The rows are in {root.url(*folder, QUARANTINE_FILE)}; the output is as it was."
    many = report.total.rejected
    why = f"{many:,} row{'s were' if many != 1 else ' was'} rejected, more than allowed; the others are in {report.output}."
    return f"{why} The rejected ones are in {root.url(*folder, REJECTS_FILE)}."


async def _tag(flow_run_id: UUID, what: str) -> None:
    """Tag a flow run with how it ended, in place of how it ended before."""
    try:
        async with get_client() as client:
            before = (await client.read_flow_run(flow_run_id)).tags
            after = [tag for tag in before if tag not in _TAGS] + ([_tag_of(what)] if what else [])
            if after != before:
                await client.update_flow_run(flow_run_id, tags=after)
    except SERVER_LOST as error:
        logger.debug("Prefect's server could not be told how the run ended: %s", type(error).__name__)
