"""A run of a deployment waits for a person without a process: it is suspended, and goes on where it was once it is resumed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import Abort, Pause
from prefect.input.run_input import RunInput, keyset_from_base_key
from prefect.states import Suspended
from prefect.utilities.engine import propose_state

from sdg_prefect.engine.answers import BUDGET, REVIEW, resume
from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.forms import DecisionForm, MoreBudget, question_of
from sdg_prefect.engine.reviewing import Reviews
from sdg_prefect.engine.states import OWN_PAUSE
from sdg_prefect.errors import BudgetReached, EndpointError, ReviewPending, SdgError
from sdg_prefect.settings import settings
from sdg_prefect.store.reviews import Review

_IN_A_POD = "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR"
_TAKEN_UP_AGAIN = ("reschedule", "relinquish")
"""What that variable says where another process goes on with a run whose own is told to end."""
_RAISE = (
    "Nothing more is sent until the budget is higher. Say here what all runs of this flow on the store may cost from now on, and"
    " resume: the run goes on where it was, and nothing is paid twice. Leave both empty if you have raised it in the flow."
)
_GIVE_MORE = "Resume this run to give it more: it goes on where it was, and nothing is paid twice."
_MEND = "Mend it, then resume this run: it goes on where it was, and nothing is paid twice."


def needs_a_person(error: SdgError) -> bool:
    """True if a run can go on after somebody has acted, and not before.

    Its budget is used up, an endpoint refuses, or rows wait for a review.
    """
    return isinstance(error, BudgetReached | EndpointError | ReviewPending)


async def suspend(flow_run: FlowRun, key: str, error: SdgError, reviews: Reviews | None) -> NoReturn:
    """Suspend a flow run of a deployment, and end this process's part in it.

    Args:
        flow_run: The flow run.
        key: Names this suspension.
        error: Why nothing goes on.
        reviews: Those of the run, if it came so far.

    Raises:
        Pause: It is suspended; Prefect's engine leaves it at that.
        SdgError: The server refuses; the error itself.
    """
    review = reviews.pending if reviews is not None else None
    asked = _asked(error, key, review)
    state: State[Any] = Suspended(timeout_seconds=settings().patience_seconds, pause_key=asked.key, message=asked.message)
    if asked.form is not None:
        keys = keyset_from_base_key(asked.key)
        state.state_details.run_input_keyset = {str(word): one for word, one in keys.items()}
        # Before the state: whoever sees that finds the form.
        await asked.form.asave(keys, flow_run.id)
    async with get_client() as client:
        try:
            given = await propose_state(client, state, flow_run.id)
        except Abort as refusal:
            raise error from refusal
    if reviews is not None and (decision := reviews.decision()) is not None:
        # Somebody has decided on the command line before there was a suspended run to resume.
        await resume(flow_run.id, decision)
    raise Pause(state=given)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a suspended run says."""

    key: str
    message: str
    form: type[RunInput] | None = None
    """What is filled in to resume it."""


def _asked(error: SdgError, key: str, review: Review | None) -> _Asked:
    if isinstance(error, BudgetReached):
        budget = MoreBudget.with_initial_data(description=f"{error.message}\n\n{_RAISE}")
        return _Asked(f"{BUDGET}{key}", f"{error.message} {_GIVE_MORE}", budget)
    if review is not None:
        decision = DecisionForm.with_initial_data(description=question_of(review))
        return _Asked(f"{REVIEW}{review.review_id}-{key}", str(error), decision)
    return _Asked(f"{OWN_PAUSE}{key}", f"{error} {_MEND}")


async def leave_suspended(flow_run_id: UUID) -> NoReturn:
    """End this process's part in a flow run that somebody has suspended.

    Raises:
        Pause: Always.
    """
    async with get_client() as client:
        flow_run = await client.read_flow_run(flow_run_id)
    raise Pause(state=flow_run.state)


async def leave_to_next(flow_run_id: UUID) -> None:
    """End this process's part in a flow run that was told to end, if its state is for others to say.

    Whoever presses Retry as soon as it shows as cancelled does so before its process has ended, whose end would undo that. So who
    finds it shown as cancelled, by the worker, shows nothing more. Neither does one whose pod goes away: that is scheduled again,
    or taken up by the next pod as it is.

    Raises:
        Pause: Its state is left as it is.
    """
    try:
        async with get_client() as client:
            flow_run = await client.read_flow_run(flow_run_id)
    except SERVER_LOST:
        return
    goes_on_elsewhere = os.environ.get(_IN_A_POD, "").lower() in _TAKEN_UP_AGAIN
    if flow_run.state_type not in (StateType.CANCELLING, *(() if goes_on_elsewhere else (StateType.RUNNING,))):
        raise Pause
