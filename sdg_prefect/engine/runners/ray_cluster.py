"""Workers of Ray: processes that are started here for one run, or a cluster at an address."""

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from sdg_prefect.engine.runners.choice import Choice
from sdg_prefect.engine.runners.elsewhere import ClusterError
from sdg_prefect.engine.runners.entering import entered
from sdg_prefect.engine.runners.errand import Crew, Errand, Returned, do_errand, find_obstacle
from sdg_prefect.errors import TransientError

_WHERE_NONE_IS = (
    "Start one with 'ray start --head', or correct --runner. A cluster with a token wants it here too, in ~/.ray/auth_token."
)
_LOOKED_AT_WITHIN = 60.0
"""Seconds that nodes have to say whether they can work for a run."""
_LOST_AT_MOST = 3
"""How often a shard is given to another worker when one is lost at it."""
_CPUS_WHILE_ASKING = 0.25
"""Of a core, for a shard that mostly waits for its model: its process, unlike a thread of Dask's, does nothing else meanwhile."""


@asynccontextmanager
async def on_ray(choice: Choice) -> AsyncIterator[RayCluster]:
    """Start workers on this machine, or reach a cluster; leave it when this is left."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if choice.host and _has_token():
        # Clusters ask for the token that there is, and Ray's client shows it only where it is told to.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    from prefect_ray import RayTaskRunner

    # The error says it too.
    warnings.filterwarnings("ignore", "Ray Client connection timed out", UserWarning)
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if choice.address:
        # Given as its own address, prefect-ray would start workers here where "auto" finds no cluster.
        runner = RayTaskRunner(init_kwargs={**quiet, "address": choice.address})
    else:
        runner = RayTaskRunner(init_kwargs={**quiet, "num_cpus": choice.workers, "include_dashboard": False})
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(entered(runner))
        except (OSError, TimeoutError) as error:
            message = f"{_shown(choice)} is not there, or does not let us in: {str(error).rstrip('.')}."
            raise ClusterError(message, _WHERE_NONE_IS) from error
        yield RayCluster(_shown(choice), _host(choice))


def _shown(choice: Choice) -> str:
    if not choice.address:
        return "Ray workers on this machine"
    return f"the Ray cluster at {choice.address}" if choice.host else "the Ray cluster of this machine"


def _has_token() -> bool:
    """True if there is a token, where Ray keeps it."""
    place = os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(place).expanduser().is_file()


def _host(choice: Choice) -> str:
    """Return the address of this machine on its way to the cluster."""
    import ray

    if not choice.address:
        return "127.0.0.1"
    if not choice.host:
        return str(ray.util.get_node_ip_address())
    kind, _, _, _, there = socket.getaddrinfo(choice.host, 1, type=socket.SOCK_DGRAM)[0]
    with socket.socket(kind, socket.SOCK_DGRAM) as way:
        way.connect(there)  # sends nothing
        return str(way.getsockname()[0])


class RayCluster:
    """The cluster that this process is connected to."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.host = host

    @property
    def threads(self) -> int:
        """All cores of all nodes."""
        import ray

        return int(ray.cluster_resources().get("CPU", 0))

    async def obstacles(self, crew: Crew) -> Mapping[str, str]:
        """Ask a worker on every node."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ask = ray.remote(find_obstacle)
        nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        asked = {
            address: ask.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)).remote(crew)
            for name, address in nodes.items()
        }

        async def answer(reference: Any) -> str:
            try:
                return str(await asyncio.wait_for(asyncio.wrap_future(reference.future()), _LOOKED_AT_WITHIN))
            except Exception as error:  # noqa: BLE001 - whatever it is, this node cannot work
                return f"cannot work for this run: {type(error).__name__}: {str(error).rstrip('.')}"

        said = await asyncio.gather(*(answer(reference) for reference in asked.values()))
        return dict(zip(asked, said, strict=True))

    async def send(self, errand: Errand, name: str, *, asks: bool) -> Returned:
        """Submit an errand. Ray gives that of a lost worker to another one, a few times."""
        import ray
        from ray.exceptions import RayError

        options = {"num_cpus": _CPUS_WHILE_ASKING if asks else 1, "max_retries": _LOST_AT_MOST, "name": name}
        reference = ray.remote(do_errand).options(**options).remote(errand)
        try:
            returned: Returned = await asyncio.wrap_future(reference.future())
        except asyncio.CancelledError:
            ray.cancel(reference)
            raise
        except RayError as error:
            raise _lost(error, name) from error
        return returned


def _lost(error: Exception, name: str) -> Exception:
    from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

    if isinstance(error, WorkerCrashedError | NodeDiedError | OutOfMemoryError):
        message = f"worker after worker was lost at a shard of block '{name}' ({type(error).__name__})."
        return TransientError(message, "If they run out of memory, smaller shards help: --shard-size.")
    text = str(error).strip().splitlines() or [type(error).__name__]
    return ClusterError(f"Ray could not do the work on a shard of block '{name}': {text[-1].rstrip('.')}.")
