"""What a run leaves to its caller, and whether that is a success."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.engine.options import RunOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.plan.plan import Plan
    from sdg_prefect.report.run_report import RunReport


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run leaves to its caller."""

    report: RunReport
    is_success: bool
    """True if it completed, with no more rejects than allowed."""
    tables: list[pa.Table]


def allowed(report: RunReport, plan: Plan, options: RunOptions) -> bool:
    """True if the rejects of a run are within what was allowed."""
    rejected = report.total.rejected
    if not rejected or options.allow_rejects:
        return True
    rows = max((tally.counts.rows_in for tally in report.blocks), default=0)
    return plan.max_reject_rate > 0 and rejected <= plan.max_reject_rate * max(1, rows)
