"""A run inside the flow run of a deployment: steered from the UI, and taken up where it was when that starts it again."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext, hydrated_context, serialize_context
from prefect.exceptions import Pause, TerminationSignal
from prefect.settings import PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW, PREFECT_UI_URL, temporary_settings
from prefect.states import Failed

from sdg_prefect.engine.answers import keep_decisions, with_more_budget
from sdg_prefect.engine.apart import Interruptions
from sdg_prefect.engine.ending import ended
from sdg_prefect.engine.flows import run_logger
from sdg_prefect.engine.loops import run_on_loop
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.parameters import DeployedOptions
from sdg_prefect.engine.partitions import of_partition
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.running import Run
from sdg_prefect.engine.start import begin_run, new_run_id
from sdg_prefect.engine.states import stopped
from sdg_prefect.engine.stopping import SUSPENDED
from sdg_prefect.engine.suspending import leave_suspended, leave_to_next, needs_a_person, suspend
from sdg_prefect.engine.telling import tell_end
from sdg_prefect.engine.threads import Threads
from sdg_prefect.errors import SdgError
from sdg_prefect.report.progress import Silent
from sdg_prefect.report.run_report import RunReport

_LONGEST_END = 25.0
"""Seconds in which a run that is told to end has to; Prefect kills its process after 30."""


async def run_deployed(parameters: Mapping[str, Any], scheduled: datetime) -> State[Any]:
    """Run a flow as a part of the flow run that is on, and return the state in which that ends, with the report as its data.

    Args:
        parameters: The options of the run.
        scheduled: The time for which it was scheduled.

    Raises:
        Pause: The flow run is suspended until somebody resumes it.
        CancelledError: Its process is to end.
    """
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    _log_to_prefect()
    asyncio.get_running_loop().set_exception_handler(_tell_of_faults)
    this, run_id = None, new_run_id()
    try:
        options = await with_more_budget(of_partition(DeployedOptions(**parameters), scheduled), context.flow_run.id)
        begun = await asyncio.to_thread(_begun, options, run_id)
        if isinstance(begun, RunReport):
            tell_end(begun, is_allowed=True)
            return await ended(context.flow_run.id, begun, None)
        this = begun
        this.view.deployed_id, this.view.ui_url = str(context.flow_run.id), PREFECT_UI_URL.value() or ""
        this.view.can_suspend = context.flow_run.deployment_id is not None
        await keep_decisions(this.root, context.flow_run.id)
        run_logger().info("%s seeds: its tasks and its log are those of the run below, '%s'", this.rows, this.view.name)
        report = await _run_apart(this)
    except SdgError as error:
        if context.flow_run.deployment_id is not None and needs_a_person(error):
            await suspend(context.flow_run, run_id, error, this.reviews if this is not None else None)
        return Failed(message=str(error))
    except asyncio.CancelledError:
        if this is None or not this.stop.asked.is_set():
            raise
        if this.stop.status == SUSPENDED:
            await leave_suspended(context.flow_run.id)
        await leave_to_next(context.flow_run.id)
        return stopped()
    return await ended(context.flow_run.id, report, this)


def _begun(options: RunOptions, run_id: str) -> Run | RunReport:
    return begin_run(prepare(options, run_id if options.fresh else ""), run_id, Silent())


async def _run_apart(this: Run) -> RunReport:
    """Run in a thread with an event loop of its own, whose runs Prefect shows below the flow run that is on.

    The main thread's loop ends wherever it is when a worker ends the process; it then waits here until the run has ended in good
    order. Each attempt makes runs of its own below: those of an earlier one, which Prefect would take up, are at their ends.
    """
    context, heard = serialize_context(), Interruptions()
    heard.is_apart = True

    async def body() -> RunReport:
        heard.attach(this.stop)
        return await this.execute()

    def go() -> RunReport:
        # Threads of the store and the clients log too, and have no flow run.
        with hydrated_context(context), temporary_settings({PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"}):
            return run_on_loop(body())

    ended = asyncio.get_running_loop().run_in_executor(Threads(), go)
    try:
        return await asyncio.shield(ended)
    except asyncio.CancelledError:
        if not ended.done():
            # A worker ends the process of a run that is cancelled, and the run may have seen by itself that it is.
            if not this.stop.asked.is_set():
                heard.hear(signal.SIGTERM, None)
            await asyncio.wait([ended], timeout=_LONGEST_END)
        raise


def _tell_of_faults(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what a loop complains of, but for what ends a process that was told to end: nobody is left to catch that."""
    if not isinstance(context.get("exception"), Pause | TerminationSignal):
        loop.default_exception_handler(context)


def _log_to_prefect() -> None:
    """Let the log of this package reach the server, as a variable does for runs of the command line."""
    ours = logging.getLogger("sdg_prefect")
    for handler in logging.getLogger("prefect.extra").handlers:
        if handler not in ours.handlers:
            ours.addHandler(handler)
