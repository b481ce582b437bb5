"""Cancel in Prefect's UI: a run of the command line looks for it by itself, for there is no worker that would stop it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelled

from sdg_prefect.engine.flows import SERVER_LOST
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.marking import UNFINISHED, mark
from sdg_prefect.engine.recorded import wait_until_recorded

_EVERY = 5.0
_LONGEST = 8.0
"""Seconds that it may take to show the end as what it was: whoever cancelled a run waits for it."""
_RECORDED_WITHIN = 3.0
_MESSAGE = "Cancelled in the UI. What was received is kept; the same command goes on from there."
_WANTED = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CANCELLING, StateType.CANCELLED]))


@asynccontextmanager
async def cancellable(
    name: str, flow_run_ids: Sequence[str], task_runs: Callable[[], int], stop: Callable[[], Any]
) -> AsyncIterator[None]:
    """Watch, for as long as a run is on, whether somebody cancels it or one of its pipelines; then stop it.

    Prefect's engine does not know why a run was stopped, and shows it as crashed; this is put right at the end.

    Args:
        name: Name of the run on the server.
        flow_run_ids: The run and its pipelines, as they come to be known.
        task_runs: Says how many task runs there were.
        stop: Stops the run in good order, as Ctrl-C does.
    """
    cancelled = asyncio.Event()

    async def watch() -> None:
        while True:
            await asyncio.sleep(_EVERY)
            if await _is_cancelled(flow_run_ids):
                break
        cancelled.set()
        logger.info("cancelled in the UI; ending in good order")
        stop()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])
        if cancelled.is_set():
            await _show_as_cancelled(name, flow_run_ids, task_runs())


async def _is_cancelled(flow_run_ids: Sequence[str]) -> bool:
    """Ask the server, in one request, whether any of the flow runs is to end."""
    if not flow_run_ids:
        return False
    which = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(one) for one in flow_run_ids]), state=_WANTED)
    try:
        async with get_client() as client:
            return bool(await client.read_flow_runs(flow_run_filter=which, limit=1))
    except SERVER_LOST as error:
        logger.debug("Prefect's server does not say whether the run was cancelled: %s", type(error).__name__)
        return False


async def _show_as_cancelled(name: str, flow_run_ids: Sequence[str], task_runs: int) -> None:
    """Set what was stopped to Cancelled, and again what the server had not yet recorded then."""
    crashed = {*UNFINISHED, StateType.CRASHED}
    try:
        async with asyncio.timeout(_LONGEST), get_client() as client:
            await mark(client, flow_run_ids, name, lambda: Cancelled(message=_MESSAGE), crashed)
            with suppress(TimeoutError):
                await asyncio.wait_for(wait_until_recorded(flow_run_ids, task_runs), _RECORDED_WITHIN)
            await mark(client, flow_run_ids, name, lambda: Cancelled(message=_MESSAGE), crashed)
    except (*SERVER_LOST, TimeoutError) as error:
        logger.warning("Prefect's server could not be told that the run was cancelled: %s", type(error).__name__)
