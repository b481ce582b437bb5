"""Asking a person about rows: in Prefect's UI, where the run is paused, and on the command line, through the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sdg_prefect.blocks.review import Decision, ReviewBlock
from sdg_prefect.engine.deciding import checked, decided, known_decision, review_id
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.pausing import Gate
from sdg_prefect.engine.telling import WAITS_FOR_REVIEW, tell
from sdg_prefect.engine.view import View
from sdg_prefect.errors import ReviewPending, ReviewStopped
from sdg_prefect.plan.plan import Step
from sdg_prefect.rows import concat
from sdg_prefect.settings import settings
from sdg_prefect.store.reviews import Review, forget_decision, read_decision, write_decision, write_review
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import DatasetRef, read_shards

if TYPE_CHECKING:
    import pyarrow as pa

_EVERY, _EVERY_ON_S3 = 1.0, 5.0
"""Seconds between two looks for a decision."""
APPROVED_ANYWAY = "--reviews approve"


@dataclass
class Reviews:
    """Asks for the reviews of one run. Lives on its event loop."""

    live: Live
    view: View
    decided: list[dict[str, Any]] = field(default_factory=list)
    """The decisions that the run heeded, for its report."""
    pending: Review | None = None
    """What was asked before the run ended for now."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def with_decision(self, step: Step, refs: Sequence[DatasetRef]) -> Step:
        """Return a step that knows what a person decided about the rows that it gets; any step but a review as it is.

        Args:
            step: The step.
            refs: The rows.

        Raises:
            ReviewStopped: The decision is to stop, or nobody decided.
            CancelledError: The run is stopping.
        """
        if not isinstance(step.block, ReviewBlock) or not sum(ref.rows for ref in refs):
            return step
        async with self._turn:
            table = await asyncio.to_thread(lambda: concat(read_shards(self.live.root, refs)))
            decision = await asyncio.to_thread(known_decision, self.live.root, step, table)
            if decision is None:
                decision = await self._decide(step, step.block, table)
        self.decided.append({"block": step.label, "rows": table.num_rows, **decision.model_dump(mode="json")})
        logger.info("%s: review of %s rows: %s, by %s", step.label, f"{table.num_rows:,}", decision, decision.by)
        if decision.decision == "stop":
            raise _stopped_by(decision, step, table)
        return decided(step, decision)

    def decision(self) -> dict[str, Any] | None:
        """Return what somebody has decided since the run ended for now."""
        return None if self.pending is None else read_decision(self.live.root, self.pending.review_id)

    async def _decide(self, step: Step, block: ReviewBlock, table: pa.Table) -> Decision:
        review = Review(
            review_id=await asyncio.to_thread(review_id, step, table),
            run_id=self.view.run_id,
            flow=self.view.plan.name,
            block=step.label,
            question=block.question,
            rows=table.num_rows,
            columns=table.column_names[1:],
            shown=block.shown(table),
            asked_at=time.time(),
            ui_url=self.view.page,
            flow_run_id=self.view.deployed_id if self.view.can_suspend and self.view.options.reviews == "wait" else "",
        )
        known = await asyncio.to_thread(read_decision, self.live.root, review.review_id)
        if known is None:
            await asyncio.to_thread(write_review, self.live.root, review)
        else:
            _, problem = await asyncio.to_thread(checked, known, step, table)
            review = await self._refuse(replace(review, problem=problem))
        if self.view.options.reviews == "stop":
            raise ReviewStopped(f"{_waits(review)}, and this run waits for nobody.", _how(review, self.live.root))
        if self.view.options.reviews == "approve":
            decision = Decision(decision="approve", by=APPROVED_ANYWAY)
        else:
            decision = await self._ask(review, step, table)
        await asyncio.to_thread(write_decision, self.live.root, review.review_id, decision.model_dump(mode="json"))
        return decision

    async def _ask(self, review: Review, step: Step, table: pa.Table) -> Decision:
        """Ask until there is a decision that can be carried out."""
        await self._tell(review)
        if self.view.can_suspend:
            self.pending = review
            raise ReviewPending(f"{_waits(review)}.", "Resume this run to give it.")
        gate = Gate(self.view.flow_run_id, self.view.run_id)
        deadline = time.monotonic() + settings().patience_seconds
        try:
            while time.monotonic() < deadline:
                if (given := await self._given(review, gate)) is not None:
                    decision, problem = await asyncio.to_thread(checked, given, step, table)
                    if decision is not None:
                        return decision
                    review = await self._refuse(replace(review, problem=problem))
                    await gate.end()
                await gate.begin(review)
                await asyncio.sleep(_EVERY_ON_S3 if self.live.root.is_remote else _EVERY)
        finally:
            await gate.end()
        raise ReviewStopped(f"{_waits(review)}, and nobody decided in time.", _how(review, self.live.root))

    async def _tell(self, review: Review) -> None:
        """Say on the terminal, in the UI and to automations that rows wait."""
        waits, how = _waits(review), _how(review, self.live.root)
        logger.info("%s. %s", waits, how)
        self.live.observer.say(f"{waits}. {how}{f' Or resume {review.ui_url}' if review.ui_url else ''}")
        which = f"{len(review.shown):,} of {review.rows:,} rows of block '{review.block}' that wait for a decision"
        await self.view.artifacts.show_table(f"review-{review.block}", review.shown, which)
        facts = {"block": review.block, "rows": review.rows, "storage": self.live.root.uri, "ui_url": review.ui_url}
        message = f"{review.flow}: {waits}. {how}"
        tell(WAITS_FOR_REVIEW, review.flow, review.run_id, {**facts, "run_id": review.run_id, "message": message})

    async def _given(self, review: Review, gate: Gate) -> dict[str, Any] | None:
        """Return what somebody has decided by now.

        Raises:
            CancelledError: The run is stopping.
        """
        if self.live.gateway.is_stopped:
            raise asyncio.CancelledError("the run is stopping")
        known = await asyncio.to_thread(read_decision, self.live.root, review.review_id)
        return known if known is not None else await gate.answer()

    async def _refuse(self, review: Review) -> Review:
        """Say what is wrong with a decision, forget it, and return what is asked now."""
        self.live.observer.say(f"the decision on block '{review.block}' cannot be carried out: {review.problem}")
        if await asyncio.to_thread(read_decision, self.live.root, review.review_id) is not None:
            await asyncio.to_thread(forget_decision, self.live.root, review.review_id)
        await asyncio.to_thread(write_review, self.live.root, review)
        return review


def _waits(review: Review) -> str:
    return f"block '{review.block}': {review.rows:,} row{'s wait' if review.rows != 1 else ' waits'} for a decision"


def _how(review: Review, root: Root) -> str:
    return f"Look and decide: python -m sdg_prefect review {review.run_id} --storage {root.uri}"


def _stopped_by(decision: Decision, step: Step, table: pa.Table) -> ReviewStopped:
    note = f" ({decision.note})" if decision.note else ""
    return ReviewStopped(
        f"block '{step.label}': a review of its {table.num_rows:,} rows decided to stop the run{note}.",
        "Change what comes before it, or decide again with the command 'review', and give the same command.",
    )
