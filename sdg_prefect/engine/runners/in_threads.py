"""Blocks at work in threads of the run."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial

from sdg_prefect.engine.asking import Asking, from_thread
from sdg_prefect.engine.working import Assignment, work
from sdg_prefect.store.checkpoints import Checkpoint


class InThreads:
    """Has each shard worked on in a thread of this process."""

    shards_at_once = 0

    def __init__(self, threads: Executor) -> None:
        self._threads = threads

    async def work(self, assignment: Assignment, asking: Asking) -> Checkpoint:
        """Work in a thread; if nobody waits any more, it ends by itself with its next call."""
        loop = asyncio.get_running_loop()
        asking.begin()
        # With the context of the task run, to which the log belongs.
        call = partial(copy_context().run, work, assignment, from_thread(asking, loop))
        return await loop.run_in_executor(self._threads, call)
