"""A run says that it is on, and sees to those on the same store that no longer are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prefect.settings import PREFECT_API_URL

from sdg_prefect.engine.crashed import dead_runs_marked
from sdg_prefect.engine.server import status
from sdg_prefect.settings import settings
from sdg_prefect.store.root import Root
from sdg_prefect.store.sharing.presence import Heartbeat


@asynccontextmanager
async def present(root: Root, run_id: str, flow: str, flow_run_ids: Sequence[str]) -> AsyncIterator[Heartbeat]:
    """Say that a run is on for as long as it is.

    Args:
        root: The store that it works on.
        run_id: The run.
        flow: Name of its flow.
        flow_run_ids: Prefect's ids of it, as they come to be known.
    """
    api_url = PREFECT_API_URL.value() or ""
    managed = await asyncio.to_thread(status)
    home = str(settings().home.resolve()) if managed is not None and managed.api_url == api_url else ""
    heartbeat = Heartbeat(root, run_id, flow, api_url, home, flow_run_ids)
    await asyncio.to_thread(heartbeat.begin)
    try:
        async with dead_runs_marked(heartbeat):
            yield heartbeat
    finally:
        await asyncio.to_thread(heartbeat.end)
