"""A run of a deployment waits for a person without a process: it is suspended, and goes on where it was once it is resumed."""

from __future__ import annotations

from typing import Any, NoReturn
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import Abort, Pause
from prefect.input.run_input import RunInput, keyset_from_base_key
from prefect.states import Suspended
from prefect.utilities.engine import propose_state
from pydantic import Field

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.states import OWN_PAUSE
from sdg_prefect.errors import BudgetReached, EndpointError, SdgError
from sdg_prefect.settings import settings

_KEYS = f"{OWN_PAUSE}budget-"
_MOST_ANSWERS = 200
_RAISE = (
    "Nothing more is sent until the budget is higher. Say here what all runs of this flow on the store may cost from now on, and"
    " resume: the run goes on where it was, and nothing is paid twice. Leave both empty if you have raised it in the flow."
)
_MEND = "Mend it, then resume this run: it goes on where it was, and nothing is paid twice."


class MoreBudget(RunInput):
    """What a run that its budget stopped may cost, for this run only."""

    budget: float | None = Field(default=None, gt=0, allow_inf_nan=False, title="US dollars")
    """US dollars that all runs of the flow on the store may cost."""
    budget_tokens: int | None = Field(default=None, ge=1, title="Tokens")
    """Tokens that they may cost."""


def needs_a_person(error: SdgError) -> bool:
    """True if a run can go on after somebody has acted, and not before: its budget is used up, or an endpoint refuses."""
    return isinstance(error, BudgetReached | EndpointError)


async def suspend(flow_run: FlowRun, key: str, error: SdgError) -> NoReturn:
    """Suspend a flow run of a deployment, and end this process's part in it.

    Args:
        flow_run: The flow run.
        key: Names this suspension.
        error: Why nothing goes on.

    Raises:
        Pause: It is suspended; Prefect's engine leaves it at that.
        SdgError: The server refuses; the error itself.
    """
    message = str(error) if isinstance(error, BudgetReached) else f"{error} {_MEND}"
    name = f"{_KEYS}{key}"
    state: State[Any] = Suspended(timeout_seconds=settings().patience_seconds, pause_key=name, message=message)
    if isinstance(error, BudgetReached):
        keys = keyset_from_base_key(name)
        state.state_details.run_input_keyset = {str(word): one for word, one in keys.items()}
        # Before the state: whoever sees that finds the form.
        await MoreBudget.with_initial_data(description=f"{error}\n\n{_RAISE}").asave(keys, flow_run.id)
    async with get_client() as client:
        try:
            given = await propose_state(client, state, flow_run.id)
        except Abort as refusal:
            raise error from refusal
    raise Pause(state=given)


async def leave_suspended(flow_run_id: UUID) -> NoReturn:
    """End this process's part in a flow run that somebody has suspended.

    Raises:
        Pause: Always.
    """
    async with get_client() as client:
        flow_run = await client.read_flow_run(flow_run_id)
    raise Pause(state=flow_run.state)


async def leave_to_next(flow_run_id: UUID) -> None:
    """End this process's part in a flow run that somebody has cancelled, if it is shown as ended, or runs again, already.

    Whoever presses Retry as soon as it shows as cancelled does so before its process has ended, whose end would undo that. So who
    finds it shown as cancelled, by the worker, shows nothing more.

    Raises:
        Pause: It is neither running nor being cancelled; its state is left as it is.
    """
    try:
        async with get_client() as client:
            flow_run = await client.read_flow_run(flow_run_id)
    except SERVER_LOST:
        return
    if flow_run.state_type not in (StateType.RUNNING, StateType.CANCELLING):
        raise Pause


async def with_more_budget(options: RunOptions, flow_run_id: UUID) -> RunOptions:
    """Return the options with the budget that somebody gave when they resumed the flow run; as they are if nobody did."""
    async with get_client() as client:
        inputs = await client.filter_flow_run_input(flow_run_id, _KEYS, _MOST_ANSWERS, set())
    answers = sorted((one for one in inputs if one.key.endswith("-response")), key=lambda one: one.key)
    for answer in answers:
        # Prefect has checked the answer against a schema; what was written past the form is checked here.
        given = MoreBudget.load_from_flow_run_input(answer)
        more = {name: value for name, value in given.model_dump().items() if value is not None}
        options = options.model_copy(update=more)
    return options
