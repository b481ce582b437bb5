"""What a run may still spend, and what it says when that is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sdg_prefect.errors import BudgetReached
from sdg_prefect.models.budget import Budget, Spent
from sdg_prefect.models.spending import Spending
from sdg_prefect.report.run_report import BlockTally
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import read_reports, run_ids


def spent_by_runs(root: Root, flow: str) -> Spent:
    """Add up what the runs of a flow on a store have paid, as their reports say."""
    reports = read_reports(root, run_ids(root)).values()
    mine = (report for report in reports if report.get("flow") == flow)
    paid = (Spent(one["llm_calls"], one["tokens_in"] + one["tokens_out"], one["cost_usd"]) for one in mine)
    return sum(paid, Spent())


def open_spending(
    budget: Budget | None, root: Root, flow: str, on_used_up: Callable[[], None], *, is_fresh: bool
) -> Spending | None:
    """Begin to spend what earlier runs of a flow left of its budget, if it has one; a fresh run has all of it."""
    if budget is None:
        return None
    return Spending(budget, Spent() if is_fresh else spent_by_runs(root, flow), on_used_up)


def why_stopped(spending: Spending, seeds: int, blocks: Iterable[BlockTally]) -> BudgetReached:
    """Return the error that says what was spent, what is done, and how to go on."""
    budget, before = spending.budget, spending.before
    earlier = f", {before.text(budget)} of it by earlier runs" if before.calls else ""
    done = ", ".join(f"'{block.name}' {block.counts.rows_in:,}" for block in blocks)
    return BudgetReached(
        f"the budget of {budget} is used up: {spending.total.text(budget)} spent{earlier}. Rows done, from {seeds:,} seeds: "
        f"{done}; 'plan' says what is left.",
        "To go on, raise the budget and give the same command: nothing is paid twice.",
    )
