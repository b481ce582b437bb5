"""The states in which a run ends on Prefect's server: their names say what happened, their messages what to do."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Completed, Failed

from sdg_prefect.engine.outcome import MISSED, QUARANTINED
from sdg_prefect.errors import SdgError
from sdg_prefect.report.rendering import headline
from sdg_prefect.report.run_report import RunReport

OWN_PAUSE = "sdg-prefect-"
"""How the keys of pauses begin that a run itself asked for."""
STOPPED = "Stopped. What was received is kept; the same command goes on from here."
_NOTHING_TO_DO = "Nothing to do"
_NAMES = {
    "nothing_new": _NOTHING_TO_DO,
    "completed_with_rejects": "Completed with rejects",
    QUARANTINED: "Quarantined",
    MISSED: "Target missed",
    "stopped_by_budget": "Stopped by budget",
    "stopped_by_review": "Stopped by review",
}


def completed(report: RunReport, data: Any = None) -> State[Any]:
    """Return the state of a run that came to its end.

    Args:
        report: What it did.
        data: What the flow returns.
    """
    shards = sum(block.shards for block in report.blocks)
    if report.status != QUARANTINED and shards and all(block.shards == block.shards_replayed for block in report.blocks):
        message = f"All {shards:,} shards were there from earlier runs; nothing was asked. {headline(report)}"
        return Completed(name=_NOTHING_TO_DO, message=message, data=data)
    return Completed(name=_NAMES.get(report.status, "Completed"), message=headline(report), data=data)


def failed(error: SdgError) -> State[Any]:
    """Return the state of a run that could not come to its end."""
    return Failed(name=_NAMES.get(error.run_status, "Failed"), message=str(error))


def stopped(why: str = STOPPED) -> State[Any]:
    """Return the state of a run that somebody stopped."""
    return Cancelled(message=why)
