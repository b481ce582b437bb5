"""Opening what a run works with: its models and its place in the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager

from sdg_prefect.engine.leasing import leased
from sdg_prefect.engine.live import Live
from sdg_prefect.engine.log import logger
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.runners.choice import Choice
from sdg_prefect.engine.runners.in_threads import InThreads
from sdg_prefect.engine.runners.runner import Runner
from sdg_prefect.engine.telemetry.run import telling_of
from sdg_prefect.engine.threads import Threads
from sdg_prefect.errors import SdgError
from sdg_prefect.models.batches.batches import Batches
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Address, Endpoint
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.models.spending import Spending
from sdg_prefect.plan.plan import Plan
from sdg_prefect.report.progress import Observer
from sdg_prefect.settings import settings
from sdg_prefect.store.batches import StoredBatches
from sdg_prefect.store.root import Root


async def open_live(
    plan: Plan, options: RunOptions, root: Root, run_id: str, observer: Observer, spending: Spending | None, stack: AsyncExitStack
) -> Live:
    """Open what the shards of a run share; no model is called yet.

    Args:
        plan: What will be run.
        options: How.
        root: The store.
        run_id: The run.
        observer: Told about it; of what the blocks do, operators are told beside it if they want to know.
        spending: Keeps its calls within a budget.
        stack: Ends the simulated model and the workers, if the run has any, gives back what it has of shared limits, and delivers
            what operators want to know.

    Raises:
        EndpointError: A limit that is shared with other runs cannot be found.
        ClusterError: The workers that were chosen cannot be had.
        UnfitWorker: One of them cannot work for this run.
    """
    telemetry = await stack.enter_async_context(telling_of(plan.name, run_id, observer.say))
    endpoints = {name: _limited(endpoint, options.concurrency) for name, endpoint in plan.endpoints.items()}
    chosen = settings().model_copy(update={"concurrency": options.concurrency or settings().concurrency})

    def tell(message: str) -> None:
        observer.say(message)
        logger.warning("%s", message)

    served = _with_simulated(endpoints, stack)
    batches = Batches(served.values(), chosen, StoredBatches(root), observer.say)
    batches.look()
    shares = await stack.enter_async_context(leased(plan.shared_limits()))
    gateway = Gateway(served, connect, chosen, spending, batches, tell, shares, telemetry.onlooker)
    sizes = plan.sizes(options.shard_size)
    threads, loop = Threads(), asyncio.get_running_loop()
    runner = await stack.enter_async_context(_runner(Choice.of(options.runner), plan, root, run_id, observer, threads))
    told, retry_rejects = telemetry.beside(observer), options.retry_rejects
    return Live(root, gateway, told, run_id, sizes, threads, runner, loop, retry_rejects=retry_rejects, telemetry=telemetry)


@asynccontextmanager
async def _runner(
    choice: Choice, plan: Plan, root: Root, run_id: str, observer: Observer, threads: Executor
) -> AsyncIterator[Runner]:
    if choice.kind == "local":
        yield InThreads(threads)
        return
    from sdg_prefect.engine.runners.elsewhere import elsewhere

    async with elsewhere(choice, plan, root, run_id, observer) as runner:
        yield runner


async def close_live(live: Live) -> None:
    """Give everything back, and say what could not be."""
    try:
        await live.close()
    except (SdgError, OSError) as error:
        live.observer.say(f"The store could not be closed: {error}")
    if left := live.gateway.batches.left_behind:
        live.observer.say(left)


def _limited(endpoint: Endpoint, concurrency: int | None) -> Endpoint:
    """Let ``--concurrency`` bound an endpoint from above."""

    def bounded(one: Address) -> Mapping[str, object]:
        if concurrency is None or one.max_concurrency is None:
            return {}
        return {"max_concurrency": min(concurrency, one.max_concurrency)}

    return endpoint.everywhere(bounded)


def _with_simulated(endpoints: Mapping[str, Endpoint], stack: AsyncExitStack) -> Mapping[str, Endpoint]:
    """Start the simulated model if any endpoint wants it, and say where it is."""
    wanting = {name: one for name, one in endpoints.items() if one.is_simulated and not all(at.api_base for at in one.places)}
    if not wanting:
        return endpoints
    from sdg_prefect.simulator import SimulatedModel

    server = stack.enter_context(SimulatedModel())
    return {**endpoints, **{name: one.model_copy(update={"api_base": server.url}) for name, one in wanting.items()}}
