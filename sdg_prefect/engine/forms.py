"""The forms that Prefect's UI shows to whoever resumes a run that waits for them."""

from __future__ import annotations

from typing import Any, Literal

from prefect.input.run_input import RunInput
from pydantic import Field

from sdg_prefect.store.reviews import Review

BY_UI = "Prefect's UI"
_MOST_SHOWN = 3
_CELL = 100


class MoreBudget(RunInput):
    """What a run that its budget stopped may cost, for this run only."""

    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False, title="US dollars")
    """US dollars that all runs of the flow on the store may cost."""
    budget_tokens: int | None = Field(default=None, ge=1, title="Tokens")
    """Tokens that they may cost."""


class DecisionForm(RunInput):
    """What becomes of the rows of a review."""

    decision: Literal["approve", "drop", "stop"] = Field(
        description="approve: all rows go on. drop: all but those named below. stop: the run ends here."
    )
    drop_rows: list[str] = Field(default=[], description="Ids of rows to drop.")
    drop_where: str = Field(default="", description="Condition on rows to drop, such as score|float < 3 or 'http' in answer.")
    note: str = Field(default="", description="Why, for the report.")


def question_of(review: Review) -> str:
    """Write what the UI shows above the form of a review."""
    lines = [f"**{review.problem}** Decide again.", ""] if review.problem else []
    lines += [f"{review.rows:,} rows of block `{review.block}` wait for your decision. {review.question}", ""]
    for row in review.shown[:_MOST_SHOWN]:
        cells = (f"{name}: {_short(value)}" for name, value in row.items() if name != "row id")
        lines.append(f"- `{row['row id']}` {'; '.join(cells)}")
    lines += ["", f"More of them, with their ids, are in this run's artifact whose key ends in *review-{review.block}*."]
    return "\n".join(lines)


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _CELL else f"{text[:_CELL]}…"
