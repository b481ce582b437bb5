"""Workers of Dask: processes that are started here for one run, or a cluster at an address."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from sdg_prefect.engine.runners.choice import Choice
from sdg_prefect.engine.runners.elsewhere import ClusterError
from sdg_prefect.engine.runners.entering import entered
from sdg_prefect.engine.runners.errand import Crew, Errand, Returned, do_errand, find_obstacle
from sdg_prefect.engine.threads import Threads
from sdg_prefect.errors import TransientError

if TYPE_CHECKING:
    import distributed
    from prefect_dask import DaskTaskRunner

T = TypeVar("T")

_REACHED_WITHIN = 10.0
"""Seconds to wait for a scheduler at an address."""
_AGAIN_WITHIN = "10 minutes"
"""What a worker that was killed has to be there again."""
_LOOKED_AT_WITHIN = 60.0
"""Seconds that workers have to say whether they can work for a run."""


@asynccontextmanager
async def on_dask(choice: Choice) -> AsyncIterator[DaskCluster]:
    """Start workers on this machine, or reach a cluster; leave it when this is left."""
    from distributed.utils import get_ip
    from prefect_dask import DaskTaskRunner

    if choice.address:
        runner = DaskTaskRunner(address=choice.address, client_kwargs={"timeout": _REACHED_WITHIN})
    else:
        runner = DaskTaskRunner(cluster_kwargs=_local(choice.workers))
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(entered(_started(runner)))
            host = get_ip(choice.host) if choice.address else "127.0.0.1"
        except (OSError, RuntimeError) as error:
            message = f"there is no Dask cluster at {choice.address} ({type(error).__name__})."
            hint = "Start one with 'dask scheduler' and 'dask worker', or correct --runner."
            raise (ClusterError(message, hint) if choice.address else _no_workers(error)) from error
        yield DaskCluster(
            f"the Dask cluster at {choice.address}" if choice.address else "Dask workers on this machine", host, client
        )


@contextmanager
def _started(runner: DaskTaskRunner) -> Iterator[distributed.Client]:
    """Have what a task runner starts when its client is asked for first."""
    with runner:
        yield runner.client


def _no_workers(error: Exception) -> ClusterError:
    message = f"Dask's workers could not be started on this machine: {type(error).__name__}: {str(error).rstrip('.')}."
    return ClusterError(message, "A script that starts some has to do so below: if __name__ == '__main__'.")


def _local(workers: int | None) -> dict[str, Any]:
    """Return what describes workers of one thread each, as blocks in Python keep a core busy alone."""
    from dask import config
    from dask.system import CPU_COUNT

    # Dask gives up one that was killed and is not there again by then, and puts none in its place; a busy machine takes longer.
    config.set({"distributed.deploy.lost-worker-timeout": _AGAIN_WITHIN})
    return {
        "n_workers": workers or CPU_COUNT,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": ":0",  # any port that is free
        "silence_logs": logging.ERROR,
        "preload": [__name__],
    }


def dask_setup(_worker: distributed.Worker) -> None:
    """Prepare a worker that was started for one run: the terminal's Ctrl-C is for the run, which ends its workers."""
    from tqdm import tqdm

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Its usual lock is one for several processes, which Python would miss when the worker has ended at once.
    tqdm.set_lock(threading.RLock())


def dask_teardown(_worker: distributed.Worker) -> None:
    """End such a worker at once: it keeps nothing, and Python would take seconds to look through all that it has imported."""
    os._exit(0)


class DaskCluster:
    """A cluster, through a client of Dask's."""

    def __init__(self, name: str, host: str, client: distributed.Client) -> None:
        self.name = name
        self.host = host
        self._client = client
        self._threads = Threads()

    @property
    def threads(self) -> int:
        """All threads of all workers."""
        return sum(self._client.nthreads().values())

    async def obstacles(self, crew: Crew) -> Mapping[str, str]:
        """Ask every worker."""

        def ask() -> Mapping[str, Any]:
            found: Mapping[str, Any] = self._client.run(find_obstacle, crew, on_error="return")
            return found

        try:
            found = await asyncio.wait_for(self._in_thread(ask), _LOOKED_AT_WITHIN)
        except TimeoutError:
            raise ClusterError(f"some worker of {self.name} does not say whether it can work for this run.") from None
        return {worker: said if isinstance(said, str) else _unable(said) for worker, said in found.items()}

    async def send(self, errand: Errand, name: str, *, asks: bool) -> Returned:
        """Submit an errand. Dask gives that of a lost worker to another one, a few times."""
        future = self._client.submit(_do, errand, key=f"{name}-{secrets.token_hex(8)}", pure=False)
        try:
            return await self._in_thread(lambda: _returned(future, name))
        except asyncio.CancelledError:
            self._threads.submit(future.cancel)
            raise

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _do(errand: Errand) -> Returned:
    return do_errand(errand, _Aside())


class _Aside:
    """Lets the worker take up another shard while the thread of one waits for its model."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        from distributed import rejoin, secede

        if threading.get_ident() != self._thread:  # a thread of the block's own, of which Dask knows nothing
            yield
            return
        secede()
        try:
            yield
        finally:
            rejoin()


def _returned(future: distributed.Future, name: str) -> Returned:
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        returned: Returned = future.result()
    except KilledWorker as error:
        message = f"worker after worker was lost at a shard of block '{name}', the last one at {error.last_worker.address}."
        raise TransientError(message, "If they run out of memory, smaller shards help: --shard-size.") from error
    except FutureCancelledError as error:
        message = f"the Dask cluster has lost the work ({error})."
        raise ClusterError(message, "What was received is kept; the same command goes on from here.") from error
    except Exception as error:
        raise ClusterError(
            f"a worker could not do its work on a shard of block '{name}': {type(error).__name__}: {error}."
        ) from error
    return returned


def _unable(error: Exception) -> str:
    return f"cannot work for this run: {type(error).__name__}: {str(error).rstrip('.')}"
