"""Blocks at work on the workers of a cluster; the run keeps what is shared, and answers what they ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

from sdg_prefect.engine.asking import Asking
from sdg_prefect.engine.runners.choice import Choice
from sdg_prefect.engine.runners.errand import Crew, Errand, Returned, UnfitWorker, repeat
from sdg_prefect.engine.runners.own_code import own_code
from sdg_prefect.engine.runners.switchboard import Switchboard
from sdg_prefect.engine.working import Assignment
from sdg_prefect.errors import SdgError
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.progress import Observer
from sdg_prefect.settings import settings
from sdg_prefect.store.access import access_to
from sdg_prefect.store.checkpoints import Checkpoint
from sdg_prefect.store.root import Root


class Cluster(Protocol):
    """Workers, as Dask or Ray has them."""

    name: str
    """What people call it."""
    host: str
    """By which address workers reach this machine."""

    @property
    def threads(self) -> int:
        """How many errands its workers do at one time, as far as it is known now."""
        ...

    async def obstacles(self, crew: Crew) -> Mapping[str, str]:
        """Let each worker that is there say why it cannot work for a run, as ``find_obstacle`` does; empty where it can."""
        ...

    async def send(self, errand: Errand, name: str, *, asks: bool) -> Returned:
        """Have some worker do an errand, and another one if that is lost.

        Args:
            errand: What to do.
            name: What the cluster shows.
            asks: True if it may wait for models.

        Raises:
            TransientError: Worker after worker was lost at it.
            ClusterError: The cluster is gone.
        """
        ...


class ClusterError(SdgError):
    """A cluster cannot be had, or is gone."""


class Elsewhere:
    """Has each shard worked on by a worker of a cluster."""

    def __init__(self, cluster: Cluster, board: Switchboard, crew: Crew) -> None:
        self._cluster = cluster
        self._board = board
        self._crew = crew

    @property
    def shards_at_once(self) -> int:
        """Two for each thread of a worker, so that none waits for the next one."""
        return 2 * self._cluster.threads

    async def work(self, assignment: Assignment, asking: Asking) -> Checkpoint:
        """Send the work out, and answer what it asks, until it comes back."""
        asking.begin()
        with self._board.connected(asking) as (line, job):
            errand = Errand.of(self._crew, line, assignment)
            step = assignment.step
            returned = await self._cluster.send(errand, step.name, asks=bool(step.ledger_key))
        repeat(returned.said)
        if job.failure is not None:
            raise job.failure
        if returned.result is None:
            raise asyncio.CancelledError("the run is stopping")
        if isinstance(returned.result, Exception):
            raise returned.result
        return returned.result

    async def look(self) -> None:
        """Find out whether the workers that are there can work for this run.

        Raises:
            UnfitWorker: One cannot.
        """
        found = await self._cluster.obstacles(self._crew)
        unfit = {worker: obstacle for worker, obstacle in found.items() if obstacle}
        if unfit:
            worker, obstacle = next(iter(unfit.items()))
            others = f" Of {len(found)} workers {len(unfit)} cannot work for this run." if len(unfit) > 1 else ""
            raise UnfitWorker(f"the worker {worker} {obstacle}.{others}")


@asynccontextmanager
async def elsewhere(choice: Choice, plan: Plan, root: Root, run_id: str, observer: Observer) -> AsyncIterator[Elsewhere]:
    """Have workers for as long as this is entered; those that were started for it end with it.

    Args:
        choice: Which, and where.
        plan: What they will do.
        root: The store.
        run_id: The run.
        observer: Told about the workers.

    Raises:
        ClusterError: There is no cluster at the address.
        UnfitWorker: A worker cannot work for this run.
    """
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(_cluster(choice))
        board = await stack.enter_async_context(
            Switchboard().opened(settings().driver_host or cluster.host, settings().driver_port)
        )
        asks = any(step.ledger_key for step in plan.steps())
        crew = Crew(root, run_id, own_code(plan), board.line if asks else None, access_to(root.uri))
        runner = Elsewhere(cluster, board, crew)
        observer.say(f"work goes to {cluster.name}: {cluster.threads} shards at one time")
        await runner.look()
        yield runner


def _cluster(choice: Choice) -> AbstractAsyncContextManager[Cluster]:
    if choice.kind == "dask":
        from sdg_prefect.engine.runners.dask_cluster import on_dask

        return on_dask(choice)
    from sdg_prefect.engine.runners.ray_cluster import on_ray

    return on_ray(choice)
