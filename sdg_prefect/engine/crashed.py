"""Runs that ended without a word, as after ``kill -9``: Prefect is told that they crashed, and the store gets a report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.client.orchestration import PrefectClient, get_client
from prefect.states import Crashed

from sdg_prefect.engine.log import logger
from sdg_prefect.engine.marking import UNFINISHED, mark
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.store.root import Root
from sdg_prefect.store.runs import has_report, write_report
from sdg_prefect.store.sharing.leases import sweep_leases
from sdg_prefect.store.sharing.presence import Heartbeat, Presence, forget, is_alive, presences

_LONGEST = 60.0
"""Seconds that the marking may take in all, beside the run."""
_LATER = 1.0
_PATIENCE = 20.0
"""Seconds that a run waits at its end for the marking, if there is any to do."""
_ON_ITS_WAY = 5.0
"""Seconds for which states that a process sent before its death may still be on their way to the server's records."""
_KEPT_FOR_ANOTHER_SERVER = 7 * 24 * 3600.0


@asynccontextmanager
async def dead_runs_marked(heartbeat: Heartbeat) -> AsyncIterator[None]:
    """While a run goes on, mark those before it on the same store that died.

    What cannot be marked, or not in time, is left to the next run.

    Args:
        heartbeat: The presence of the run that goes on.
    """
    marking = asyncio.ensure_future(_mark_in_time(heartbeat))
    try:
        yield
        await asyncio.wait([marking], timeout=_PATIENCE)
    finally:
        marking.cancel()
        await asyncio.wait([marking])


async def _mark_in_time(heartbeat: Heartbeat) -> None:
    try:
        async with asyncio.timeout(_LONGEST):
            await _mark_all(heartbeat)
    except Exception as error:  # noqa: BLE001 - a run does not fail for those before it
        logger.debug("earlier runs that died could not be marked: %s: %s", type(error).__name__, error)


async def _mark_all(heartbeat: Heartbeat) -> None:
    dead = await asyncio.to_thread(_dead, heartbeat)
    if not dead:
        return
    for presence in dead:
        await asyncio.to_thread(_report, heartbeat.root, presence)
    here = [presence for presence in dead if _is_shown_here(presence, heartbeat)]
    if here:
        await _mark_here(here, heartbeat)
    await asyncio.to_thread(_forget, heartbeat, dead)


async def _mark_here(dead: list[Presence], heartbeat: Heartbeat) -> None:
    """Mark runs on the server that we talk to, and again what it had not yet recorded then."""
    # First the run itself, which asks the server for much at its start.
    await asyncio.sleep(_LATER)
    async with get_client() as client:
        for presence in dead:
            await _mark(client, presence, heartbeat)
        recorded_at = max(presence.beat for presence in dead) + heartbeat.every + _ON_ITS_WAY
        if (wait := recorded_at - heartbeat.now()) > 0:
            await asyncio.sleep(min(wait, _ON_ITS_WAY))
            for presence in dead:
                await _mark(client, presence, heartbeat)


def _dead(heartbeat: Heartbeat) -> list[Presence]:
    return [one for one in presences(heartbeat.root) if one.run_id != heartbeat.run_id and not is_alive(one, heartbeat.now())]


def _is_shown_here(presence: Presence, heartbeat: Heartbeat) -> bool:
    """True if the server of a run is the one that we talk to; a managed one is the same at whatever port it starts again."""
    if presence.server_home:
        return (presence.process.host, presence.server_home) == (heartbeat.process.host, heartbeat.server_home)
    return bool(presence.api_url) and presence.api_url == heartbeat.api_url


async def _mark(client: PrefectClient, presence: Presence, heartbeat: Heartbeat) -> None:
    message = f"The process ended without a word; run {heartbeat.run_id} on the same store goes on from what it left."
    name = f"{presence.flow} {presence.run_id}"
    # A deployment that is run again takes up the flow runs of the attempt before.
    living = heartbeat.flow_run_ids
    marked = await mark(client, presence.flow_run_ids, name, lambda: Crashed(message=message), UNFINISHED, living)
    if marked:
        logger.info("run %s had ended without a word; Prefect shows it as crashed now", presence.run_id)


def _report(root: Root, presence: Presence) -> None:
    """Write what is known of a run that could not write its report."""
    if has_report(root, presence.run_id):
        return
    report = RunReport(
        status="crashed",
        run_id=presence.run_id,
        flow=presence.flow,
        rows_in=0,
        rows_out=0,
        blocks=[],
        seconds=max(0.0, presence.beat - presence.started),
        output=None,
        storage=root.uri,
        error="The process ended without a word. The same command goes on from what it left.",
    )
    write_report(root, presence.run_id, report.to_json())


def _forget(heartbeat: Heartbeat, dead: list[Presence]) -> None:
    """Remove what dead runs left of themselves, except what a run with another server has yet to see."""
    for presence in dead:
        is_old = time.time() - presence.beat > _KEPT_FOR_ANOTHER_SERVER
        if is_old or not presence.api_url or _is_shown_here(presence, heartbeat):
            forget(heartbeat.root, presence.run_id)
    sweep_leases(heartbeat.root, heartbeat)
