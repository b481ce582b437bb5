"""What a run leaves to its caller, and whether that is a success."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.engine.options import RunOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.engine.reaching import Reach
    from sdg_prefect.plan.plan import Plan
    from sdg_prefect.report.run_report import BlockTally, RunReport

MISSED = "target_missed"
"""The status of a run from which fewer rows came than are wanted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run leaves to its caller."""

    report: RunReport
    is_success: bool
    """True if it completed, with no more rejects than allowed."""
    tables: list[pa.Table]


def ending(tallies: Iterable[BlockTally], reach: Reach | None) -> str:
    """Return the status of a run that came to its end."""
    if reach is not None:
        return MISSED if reach.is_missed else "completed"
    return "completed_with_rejects" if any(tally.counts.rejected for tally in tallies) else "completed"


def allowed(report: RunReport, plan: Plan, options: RunOptions) -> bool:
    """True if a run gave the rows that it should, and its rejects are within what was allowed."""
    if report.target is not None:
        # Rows that are rejected are candidates that came to nothing.
        return report.status != MISSED or options.allow_missed
    rejected = report.total.rejected
    if not rejected or options.allow_rejects:
        return True
    rows = max((tally.counts.rows_in for tally in report.blocks), default=0)
    return plan.max_reject_rate > 0 and rejected <= plan.max_reject_rate * max(1, rows)
