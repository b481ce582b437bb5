"""The way into the engine: check, get a server, load what is heavy, run. Light until it has to be heavy."""

from __future__ import annotations

import asyncio
import os
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sdg_prefect.engine.apart import Interruptions, interruptions, run_apart
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outcome import Outcome, allowed
from sdg_prefect.engine.preparing import Prepared, prepare
from sdg_prefect.engine.server import (
    Server,
    ServerError,
    begin,
    begin_managed,
    check_installed,
    client_environment,
    is_answering,
    wait_until_ready,
)
from sdg_prefect.engine.server_environment import serverless_environment
from sdg_prefect.engine.watching import watched
from sdg_prefect.errors import InputError, Interrupted
from sdg_prefect.report.progress import Observer, Silent
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.store.checking import check_storage
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pyarrow as pa

    from sdg_prefect.engine.running import Run
    from sdg_prefect.plan.plan import Plan
    from sdg_prefect.spec.flow import FlowSpec


def new_run_id() -> str:
    """Return an id that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def run(options: RunOptions, observer: Observer | None = None, *, is_last: bool = True) -> Outcome:
    """Run a flow on Prefect.

    Args:
        options: What to run, on what.
        observer: Told about the run as it goes.
        is_last: True if the process ends after this run, so that it waits until Prefect's server has the whole history.

    Raises:
        FlowError: The flow, its input or the options are wrong; nothing was run.
        SdgError: The run could not finish.
        Interrupted: It was stopped; the same call goes on from there.
    """
    watcher = observer or Silent()
    run_id = new_run_id()
    with interruptions() as heard:
        prepared = prepare(options, salt=run_id if options.fresh else "")
        options = prepared.options
        check_installed()
        check_storage(options.storage)
        if prepared.plan.warnings:
            watcher.say(f"{len(prepared.plan.warnings)} warning(s) about the flow; 'check' shows them.")
        server = _begin(watcher)
        os.environ.update(serverless_environment() if server is _NO_SERVER else client_environment(server))
        this = begin_run(prepared, run_id, watcher)
        if isinstance(this, RunReport):
            return Outcome(this, is_success=True, tables=[])
        _warm_up(prepared.plan, Root.chosen(options.storage))
        server = _ready(server, watcher)
        this.view.ui_url = server.ui_url
        try:
            return run_apart(lambda: _run(this, server, heard, is_last=is_last), heard)
        except asyncio.CancelledError:
            raise Interrupted(this.final_report) from None
        except KeyboardInterrupt:
            raise Interrupted(this.final_report, is_left_behind=True) from None


def begin_run(prepared: Prepared, run_id: str, observer: Observer) -> Run | RunReport:
    """Read the seeds and make the run; where the output has the rows of all of them, its report instead.

    Nobody but the run holds the seeds afterwards, for it lets go of them when it can.

    Raises:
        FlowError: Telemetry is asked for and cannot be had.
        InputError: There are no seeds, fewer than the flow asks for, or they cannot be read.
        StoreError: The versions of the output cannot be read.
    """
    from sdg_prefect.engine.growing import nothing_new, target_of
    from sdg_prefect.engine.running import Run
    from sdg_prefect.engine.seeding import Seeds
    from sdg_prefect.engine.telemetry.providers import check_telemetry

    check_telemetry()
    plan, options = prepared.plan, prepared.options
    doubts: list[str] = []
    seeds = read_seeds_of(options, prepared.spec, doubts)
    for doubt in doubts:
        observer.say(doubt)
    if (version := nothing_new(plan, options, seeds)) is not None:
        store = Root.chosen(options.storage).uri
        return RunReport("nothing_new", run_id, plan.name, 0, 0, (), 0.0, options.output, store, warnings=doubts, version=version)
    grown: list[str] = []
    target = target_of(plan, options, seeds, grown)
    for warning in grown:
        observer.say(f"warning: {warning}")
    warnings = [*map(str, plan.warnings), *doubts, *grown]
    return Run(plan, options, Seeds(seeds, options, doubts), run_id, observer, target, warnings=warnings)


_NO_SERVER = Server("", "", is_managed=False)
"""Stands for Prefect's own in-process server, which shows and keeps nothing: the last resort."""


def _begin(watcher: Observer) -> Server:
    """Begin with the user's server, or with a local one where that is out of reach: the store is the truth, the UI a view."""
    try:
        return begin()
    except ServerError as error:
        watcher.say(f"{error} The run goes on with {'a local server' if os.environ.get('PREFECT_API_URL') else 'no UI'}.")
    try:
        return begin_managed()
    except ServerError:
        return _NO_SERVER


def _ready(server: Server, watcher: Observer) -> Server:
    if server is _NO_SERVER:
        return server
    if server.is_managed and not is_answering(server):
        watcher.say("waiting for the local Prefect server to start; the first time it prepares its database ...")
    try:
        wait_until_ready(server)
    except ServerError as error:
        watcher.say(f"{error} The run goes on with no UI.")
        return _NO_SERVER
    return server


def read_seeds_of(options: RunOptions, spec: FlowSpec, warnings: list[str] | None = None) -> pa.Table:
    """Read the seeds that the options name.

    Args:
        options: What is asked for.
        spec: The flow.
        warnings: Gets what the user should know of the seeds.

    Raises:
        InputError: There are none, fewer than the flow asks for, or they cannot be read.
    """
    from sdg_prefect.engine.seeding import read_input

    seeds = read_input(options, warnings=warnings)
    least = spec.inputs.min_samples if spec.inputs else 1
    if seeds.num_rows < least and options.limit is None and not options.may_lack_seeds:
        raise InputError(f"the seeds have {seeds.num_rows} rows; the flow asks for at least {least}.")
    return seeds


def _warm_up(plan: Plan, root: Root) -> None:
    """Import the libraries that take seconds, while the server may still be starting."""
    import datasets  # noqa: F401
    import prefect  # noqa: F401

    if _needs_litellm(plan, root):
        from sdg_prefect.models.litellm_client import load_litellm

        load_litellm()


def _needs_litellm(plan: Plan, root: Root) -> bool:
    """Guess whether litellm will be called: not where each block that calls one has checkpoints of its key already."""
    through = {model: {one.chosen_client for one in endpoint.places} for model, endpoint in plan.endpoints.items()}
    steps = [step for step in plan.steps() if any("litellm" in through[model] for model in step.models)]
    return any(not root.exists("checkpoints", step.key) for step in steps)


async def _run(this: Run, server: Server, heard: Interruptions, *, is_last: bool) -> Outcome:
    from prefect.settings import PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE, temporary_settings

    from sdg_prefect.engine.recorded import wait_until_recorded

    heard.attach(this.stop)
    # A process that imported Prefect before has settings that know nothing of this server.
    chosen = {PREFECT_API_URL: server.api_url} if server.api_url else {PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True}
    with temporary_settings(chosen, restore_defaults=() if server.api_url else (PREFECT_API_URL,)):
        async with watched(server, this.observer):
            report = await this.execute()
            if is_last:
                await this.stop.unless_asked(wait_until_recorded(this.flow_run_ids, this.task_runs))
    return Outcome(report, allowed(report, this.plan, this.options), this.tables)
