"""The app of the managed server: Prefect's, whose garbage is collected where nobody waits for it."""

from __future__ import annotations

import gc
import time
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI

_SECONDS = 1.0
_OFTEN_FOR_ONE_OF_ALL = 60


def create_app() -> FastAPI:
    """Return the app of Prefect's server, for uvicorn."""
    from prefect.server.api.server import create_app as create_prefect_app

    app = create_prefect_app()
    collect_apart()
    return app


def collect_apart(every: float = _SECONDS) -> None:
    """Collect the garbage of this process in a thread of its own from now on.

    A statement that SQLite refused leaves a cursor behind in a cycle of references. Who frees it waits for the cursor's
    connection, which may just wait for the database's write lock, for up to a minute. CPython collects in whichever thread
    allocates, mostly that of the event loop; and while the event loop stands, nobody gives the lock back. So all requests would
    wait for that minute.

    Args:
        every: Seconds between two times.
    """
    # What the modules are made of stays, and need not be gone through each time.
    gc.freeze()
    gc.disable()
    Thread(target=_collect, args=(every,), name="garbage", daemon=True).start()


def _collect(every: float) -> None:
    while True:
        for _ in range(_OFTEN_FOR_ONE_OF_ALL):
            time.sleep(every)
            gc.collect(1)
        gc.collect()
