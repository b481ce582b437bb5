"""Events of a run, for Prefect's automations: how it ended, and what somebody should know before that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.events import emit_event

from sdg_prefect.engine.outcome import MISSED, QUARANTINED
from sdg_prefect.engine.stopping import SUSPENDED
from sdg_prefect.report.rendering import headline
from sdg_prefect.report.run_report import RunReport

PREFIX = "sdg_prefect.run"
ENDED = f"{PREFIX}.ended"
"""Any end of a run, with its status."""
TOO_MANY_REJECTS = f"{PREFIX}.too-many-rejects"
BUDGET_USED_UP = f"{PREFIX}.budget-used-up"
WAITS_FOR_REVIEW = f"{PREFIX}.waits-for-review"
_TOLD = (
    "status",
    "run_id",
    "flow",
    "rows_in",
    "rows_out",
    "rows_filtered",
    "rows_deduplicated",
    "rows_rejected",
    "llm_calls",
    "llm_replayed",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "seconds",
    "output",
    "storage",
    "ui_url",
    "error",
    "budget",
    "target",
)


def tell_end(report: RunReport, *, is_allowed: bool) -> None:
    """Tell of the end of a run, and what is special about it; nothing of one that waits without a process and will go on.

    Args:
        report: What the run did.
        is_allowed: False if it rejected more rows than were allowed.
    """
    if report.status == SUSPENDED:
        return
    whole = report.to_json()
    told = {name: whole[name] for name in _TOLD}
    message = f"{report.flow}: {report.error or headline(report)}"
    tell(ENDED, report.flow, report.run_id, {**told, "message": message}, {"sdg_prefect.status": report.status})
    if not is_allowed and report.status not in (MISSED, QUARANTINED):
        rejected = report.total.rejected
        why = f"{report.flow}: {rejected:,} row{'s were' if rejected != 1 else ' was'} rejected, more than allowed."
        tell(TOO_MANY_REJECTS, report.flow, report.run_id, {**told, "message": why})
    if report.status == "stopped_by_budget":
        tell(BUDGET_USED_UP, report.flow, report.run_id, {**told, "message": message})


def tell(event: str, flow: str, run_id: str, payload: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> None:
    """Send an event; Prefect adds the flow run, its deployment and its tags to it.

    Args:
        event: What happened.
        flow: The flow.
        run_id: The run.
        payload: What there is to know. ``message`` is one line for people.
        labels: More by which automations may choose.
    """
    resource = {
        "prefect.resource.id": f"{PREFIX}.{run_id}",
        "prefect.resource.name": f"{flow} {run_id}",
        "sdg_prefect.flow": flow,
    }
    emit_event(event=event, resource={**resource, **(labels or {})}, payload=dict(payload))
