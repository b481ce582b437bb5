"""What the view of a run costs Prefect's server: an update of its progress, and a look whether somebody pauses or cancels it.

Give ``python tests/benchmarks/bench_ui.py``; it starts a server of its own, on Linux.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from sdg_prefect.engine import server

TIMES = 100
BLOCKS = 8


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(what: str, pid: int, ask: Callable[[], Awaitable[object]]) -> None:
    """Do something again and again, and print what it costs."""
    waited: list[float] = []
    before = cpu_seconds(pid)
    for _ in range(TIMES):
        started = time.perf_counter()
        await ask()
        waited.append(time.perf_counter() - started)
    cost = 1000 * (cpu_seconds(pid) - before) / TIMES
    print(f"{what}: {1000 * statistics.median(waited):.0f} ms for the run, {cost:.0f} ms of the server's processor")


def main() -> None:
    """Measure both on a run of eight blocks."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["SDG_PREFECT_HOME"] = home
        managed = server.begin_managed()
        assert managed.pid is not None
        try:
            server.wait_until_ready(managed)
            # The last lines of a log would be sent when the server is gone.
            os.environ.update(server.client_environment(managed), PREFECT_LOGGING_TO_API_ENABLED="false")
            asyncio.run(_measure(managed.pid))
        finally:
            server.stop()


async def _measure(pid: int) -> None:
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext

    from sdg_prefect.engine.artifacts import Artifacts
    from sdg_prefect.engine.steering import read_wishes
    from sdg_prefect.report.counting import Counting
    from sdg_prefect.report.funnel import live_markdown

    counting = Counting()
    counting.begin("bench", [f"block {number}" for number in range(BLOCKS)], 100_000)
    text = live_markdown(counting.standing(), 1.0)

    @flow
    async def run() -> None:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        flow_run_id = str(context.flow_run.id)
        async with get_client() as client:
            artifact = await Artifacts("bench", flow_run_id).progress(text).acreate(client)
        await measure("an update of the progress", pid, lambda: _update(str(artifact.id), text))
        await measure("a look for what somebody wants", pid, lambda: read_wishes([flow_run_id]))

    await run()


async def _update(artifact_id: str, text: str) -> None:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        await client._client.patch(f"/artifacts/{artifact_id}", json={"data": text})


if __name__ == "__main__":
    main()
