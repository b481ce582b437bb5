"""What a run leaves to its caller, and whether that is a success."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sdg_prefect.engine.options import RunOptions

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.engine.reaching import Reach
    from sdg_prefect.plan.plan import Plan
    from sdg_prefect.report.run_report import BlockTally, RunReport

QUARANTINED = "quarantined"
"""The status of a run whose rows were all kept apart, for they are not what its flow expects."""
MISSED = "target_missed"
"""The status of a run from which fewer rows came than are wanted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run leaves to its caller."""

    report: RunReport
    is_success: bool
    """True if it completed, with no more rejects than allowed."""
    tables: list[pa.Table]


def status_of(blocks: Iterable[BlockTally], tables: Sequence[pa.Table], quarantined: int, reach: Reach | None) -> str:
    """Return the status of a run that came to its end.

    Args:
        blocks: What its blocks did.
        tables: The rows of its output.
        quarantined: Rows that were kept apart.
        reach: How far it came to its target, if it has one.
    """
    if quarantined and not any(table.num_rows for table in tables):
        return QUARANTINED
    if reach is not None:
        return MISSED if reach.is_missed else "completed"
    return "completed_with_rejects" if any(tally.counts.rejected for tally in blocks) else "completed"


def allowed(report: RunReport, plan: Plan, options: RunOptions) -> bool:
    """True if a run gave the rows that it should, and its rejects are within what was allowed."""
    if report.status == QUARANTINED:
        return False
    if report.target is not None:
        # Rows that are rejected are candidates that came to nothing.
        return report.status != MISSED or options.allow_missed
    rejected = report.total.rejected
    if not rejected or options.allow_rejects:
        return True
    rows = max((tally.counts.rows_in for tally in report.blocks), default=0)
    return plan.max_reject_rate > 0 and rejected <= plan.max_reject_rate * max(1, rows)
