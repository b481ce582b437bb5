"""The states in which a run ends on Prefect's server: their names say what happened, their messages what to do."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from sdg_prefect.engine.outcome import MISSED, QUARANTINED
from sdg_prefect.errors import ReviewPending, SdgError
from sdg_prefect.report.rendering import headline
from sdg_prefect.report.run_report import RunReport

OWN_PAUSE = "sdg-prefect-"
"""How the keys of pauses begin that a run itself asked for."""
WAITS_FOR_REVIEW = "Waits for review"
"""The name of the state in which rows wait for a person."""
STOPPED = "Stopped. What was received is kept; the same command goes on from here."
_NOTHING_TO_DO = "Nothing to do"
NAMES = {
    "nothing_new": _NOTHING_TO_DO,
    "completed_with_rejects": "Completed with rejects",
    QUARANTINED: "Quarantined",
    MISSED: "Target missed",
    "stopped_by_budget": "Stopped by budget",
    "stopped_by_review": "Stopped by review",
}
"""Our names of the ends of runs, by the status in the report."""


def completed(report: RunReport) -> State[Any]:
    """Return the state of a run that came to its end."""
    return Completed(name=name_of(report) or "Completed", message=_message_of(report))


def completed_plainly(report: RunReport, data: Any) -> State[Any]:
    """Return that state under Prefect's own name, for a flow run of a deployment.

    The page of a deployment lists runs in states of these names only, and automations listen for them.

    Args:
        report: What the run did.
        data: What the flow returns.
    """
    return Completed(message=_message_of(report), data=data)


def name_of(report: RunReport) -> str:
    """Return our name of the end of a run; empty where it is Prefect's."""
    return _NOTHING_TO_DO if _replayed_shards(report) else NAMES.get(report.status, "")


def _message_of(report: RunReport) -> str:
    shards = _replayed_shards(report)
    return f"{f'All {shards:,} shards were there from earlier runs; nothing was asked. ' if shards else ''}{headline(report)}"


def _replayed_shards(report: RunReport) -> int:
    """Return how many shards there were, if all of them were there before; 0 otherwise."""
    if report.status == QUARANTINED or any(block.shards != block.shards_replayed for block in report.blocks):
        return 0
    return sum(block.shards for block in report.blocks)


def failed(error: SdgError) -> State[Any]:
    """Return the state of a run that could not come to its end."""
    if isinstance(error, ReviewPending):
        return Cancelled(name=WAITS_FOR_REVIEW, message=str(error))
    return Failed(name=NAMES.get(error.run_status, "Failed"), message=str(error))


def stopped(why: str = STOPPED) -> State[Any]:
    """Return the state of a run that somebody stopped."""
    return Cancelled(message=why)
