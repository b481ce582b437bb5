"""What people answered when they resumed a suspended run, and resuming one for those who answer elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRunInput
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound

from sdg_prefect.engine.forms import BY_UI, DecisionForm, MoreBudget
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.states import OWN_PAUSE
from sdg_prefect.store.reviews import read_decision, write_decision
from sdg_prefect.store.root import Root

BUDGET, REVIEW = f"{OWN_PAUSE}budget-", f"{OWN_PAUSE}review-"
"""How the keys of suspensions begin, by what they ask for. Behind that of a review stands its id."""
_MOST_ANSWERS = 200


async def with_more_budget(options: RunOptions, flow_run_id: UUID) -> RunOptions:
    """Return the options with the budget that somebody gave when they resumed the flow run; as they are if nobody did."""
    async with get_client() as client:
        answers = await _answers(client, flow_run_id, BUDGET)
    for answer in answers:
        # Prefect has checked the answer against a schema; what was written past the form is checked here.
        given = MoreBudget.load_from_flow_run_input(answer)
        more = {name: value for name, value in given.model_dump().items() if value is not None}
        options = options.model_copy(update=more)
    return options


async def keep_decisions(root: Root, flow_run_id: UUID) -> None:
    """Put the decisions on reviews that somebody gave when they resumed the flow run into the store, where runs look for them.

    A decision is taken once: one that cannot be carried out is asked for again, and must not come back then.
    """
    async with get_client() as client:
        for answer in await _answers(client, flow_run_id, REVIEW):
            review_id = answer.key.removeprefix(REVIEW).partition("-")[0]
            given = DecisionForm.load_from_flow_run_input(answer).model_dump()
            if as_answer(read_decision(root, review_id) or {}) != given:
                write_decision(root, review_id, {**given, "by": BY_UI})
            await client.delete_flow_run_input(flow_run_id, answer.key)


async def resume(flow_run_id: UUID, decision: Mapping[str, Any]) -> str:
    """Resume a flow run that is suspended at a review, and say what keeps it from going on; nothing if it does.

    Args:
        flow_run_id: The flow run. One that is about to be suspended finds the decision by itself.
        decision: What was decided.
    """
    async with get_client() as client:
        try:
            flow_run = await client.read_flow_run(flow_run_id)
        except ObjectNotFound:
            return "This Prefect server does not know the run that waits: resume it by hand."
        if flow_run.state is None or not flow_run.state.is_paused():
            is_over = flow_run.state is not None and flow_run.state.is_final()
            return f"The run is {flow_run.state_name} by now; Retry, or another run, heeds the decision." if is_over else ""
        answer = await client.resume_flow_run(flow_run_id, as_answer(decision))
    if answer.status == SetStateStatus.ACCEPT:
        return ""
    return f"The run that waits cannot be resumed: {getattr(answer.details, 'reason', None) or answer.status.value}"


def as_answer(decision: Mapping[str, Any]) -> dict[str, Any]:
    """Return a decision of the store as the form of a review has it; empty where there is none."""
    return {name: decision[name] for name in DecisionForm.model_fields if name in decision}


async def _answers(client: PrefectClient, flow_run_id: UUID, prefix: str) -> list[FlowRunInput]:
    """Return the answers to forms, those of one kind, in the order of their keys."""
    inputs = await client.filter_flow_run_input(flow_run_id, prefix, _MOST_ANSWERS, set())
    return sorted((one for one in inputs if one.key.endswith("-response")), key=lambda one: one.key)
