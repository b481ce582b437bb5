"""While a run goes on: if the managed server dies, start it again where its clients look for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sdg_prefect.engine.server import Server, ServerError, revive, status
from sdg_prefect.report.progress import Observer

_EVERY = 1.0


@asynccontextmanager
async def watched(server: Server, observer: Observer) -> AsyncIterator[None]:
    """Watch the server of a run for as long as the run takes. The user's own server is left alone."""
    if not server.is_managed:
        yield
        return
    watcher = asyncio.ensure_future(_watch(server, observer))
    try:
        yield
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


async def _watch(server: Server, observer: Observer) -> None:
    while True:
        await asyncio.sleep(_EVERY)
        found = await asyncio.to_thread(status)
        if found is not None and found.port == server.port:
            continue
        observer.say("The local Prefect server has died and is started again; the run goes on.")
        try:
            await asyncio.to_thread(revive, server)
        except ServerError as error:
            observer.say(f"{error} The run goes on without a view in Prefect's UI.")
            return
