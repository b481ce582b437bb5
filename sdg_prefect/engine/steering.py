"""Cancel, Pause and Resume in Prefect's UI: a run looks for them by itself, wherever it was started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Paused

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.marking import UNFINISHED, mark
from sdg_prefect.engine.recorded import wait_until_recorded
from sdg_prefect.engine.states import OWN_PAUSE, stopped
from sdg_prefect.engine.stopping import Stop

_EVERY = 3.0
_LONGEST = 8.0
"""Seconds that it may take to show the end as what it was: whoever cancelled a run waits for it."""
_RECORDED_WITHIN = 3.0
_CANCELLED = "Cancelled in the UI. What was received is kept; the same command goes on from there."
_ENDS = (StateType.CANCELLING, StateType.CANCELLED)
_WISHES = FlowRunFilterState(type=FlowRunFilterStateType(any_=[*_ENDS, StateType.PAUSED, StateType.FAILED]))


@dataclass
class _Watch:
    """What the server says about one run, and what follows."""

    helm: Stop
    flow_run_ids: Sequence[str]
    deployed_id: str
    held_for: set[UUID] = field(default_factory=set)
    """Flow runs for whose pause the run is held."""
    is_cancelled: bool = False

    async def go(self) -> None:
        while True:
            await asyncio.sleep(_EVERY)
            if await self._look():
                return

    async def _look(self) -> bool:
        """Ask the server once, and do what it says; True if the run is to end."""
        wishes = await read_wishes([one for one in (self.deployed_id, *self.flow_run_ids) if one])
        if wishes is None:
            return False
        if any(run.state_type in _ENDS for run in wishes):
            self.is_cancelled = True
            logger.info("cancelled in the UI; ending in good order")
            self.helm.ask_softly()
            return True
        if any(run.state_type is StateType.FAILED and run.id in self.held_for for run in wishes):
            logger.warning("nobody resumed the run in the time that its pause had; ending in good order")
            self.helm.ask_softly()
            return True
        paused = [run for run in wishes if _is_paused_by_somebody(run)]
        if any(str(run.id) == self.deployed_id and _is_suspended(run) for run in paused):
            logger.info("paused in the UI; ending in good order until somebody resumes it")
            self.helm.ask_for_suspension()
            return True
        await self._hold(paused)
        return False

    async def _hold(self, paused: Sequence[FlowRun]) -> None:
        """Hold the run while any of its flow runs is paused."""
        for run in paused:
            if _is_suspended(run):
                await _make_resumable(run)
        before, self.held_for = self.held_for, {run.id for run in paused}
        if self.held_for and not before:
            logger.info("paused in the UI; nothing is sent")
            self.helm.hold()
        elif before and not self.held_for:
            logger.info("resumed in the UI; going on")
            self.helm.release()


async def read_wishes(flow_run_ids: Sequence[str]) -> list[FlowRun] | None:
    """Ask, in one request, for those of some flow runs with which somebody wants something; None without an answer."""
    if not flow_run_ids:
        return []
    which = FlowRunFilterId(any_=[UUID(one) for one in flow_run_ids])
    try:
        async with get_client() as client:
            return await client.read_flow_runs(flow_run_filter=FlowRunFilter(id=which, state=_WISHES))
    except SERVER_LOST as error:
        logger.debug("Prefect's server does not say whether the run is to stop: %s", type(error).__name__)
        return None


@asynccontextmanager
async def steered(
    name: str, flow_run_ids: Sequence[str], task_runs: Callable[[], int], helm: Stop, deployed_id: str = ""
) -> AsyncIterator[None]:
    """Watch, for as long as a run is on, whether somebody cancels, pauses or resumes it or one of its pipelines.

    Prefect's engine does not know why a run was stopped, and shows it as crashed; this is put right at the end.

    Args:
        name: Name of the run on the server.
        flow_run_ids: The run and its pipelines, as they come to be known.
        task_runs: Says how many task runs there were.
        helm: Does what is wanted.
        deployed_id: The flow run of a deployment that the run is a part of.
    """
    watch = _Watch(helm, flow_run_ids, deployed_id)
    watching = asyncio.ensure_future(watch.go())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        if watch.is_cancelled:
            await _show_as_cancelled(name, flow_run_ids, task_runs())


def _is_paused_by_somebody(run: FlowRun) -> bool:
    if run.state is None or not run.state.is_paused():
        return False
    return not (run.state.state_details.pause_key or "").startswith(OWN_PAUSE)


def _is_suspended(run: FlowRun) -> bool:
    return run.state is not None and bool(run.state.state_details.pause_reschedule)


async def _make_resumable(run: FlowRun) -> None:
    """Let Resume work on a paused run that no deployment can start again.

    The UI pauses every run as if its process were to end, and then refuses to resume those without a deployment.
    """
    assert run.state is not None
    until = run.state.state_details.pause_timeout
    state: State[Any] = Paused(pause_expiration_time=until, message="Paused in the UI. Nothing is sent until it is resumed.")
    try:
        async with get_client() as client:
            await client.set_flow_run_state(run.id, state, force=True)
    except SERVER_LOST as error:
        logger.debug("Prefect's server could not be told that the run can be resumed: %s", type(error).__name__)


async def _show_as_cancelled(name: str, flow_run_ids: Sequence[str], task_runs: int) -> None:
    """Set what was stopped to Cancelled, and again what the server had not yet recorded then."""
    crashed = {*UNFINISHED, StateType.CRASHED}
    try:
        async with asyncio.timeout(_LONGEST), get_client() as client:
            await mark(client, flow_run_ids, name, lambda: stopped(_CANCELLED), crashed)
            with suppress(TimeoutError):
                await asyncio.wait_for(wait_until_recorded(flow_run_ids, task_runs), _RECORDED_WITHIN)
            await mark(client, flow_run_ids, name, lambda: stopped(_CANCELLED), crashed)
    except (*SERVER_LOST, TimeoutError) as error:
        logger.warning("Prefect's server could not be told that the run was cancelled: %s", type(error).__name__)
