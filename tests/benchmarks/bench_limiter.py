"""What the limiter makes of a server that refuses calls above a number that it does not tell, beside the same calls at that number.

Run with ``python -m tests.benchmarks.bench_limiter``. The simulated server answers after a while and takes so many calls at once; we may
send more. Prints for each setting the share of calls that were refused, and the calls per second as a ratio to those of a gateway that
knows the number, measured in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import asdict, dataclass

from sdg_prefect.models.completion import Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.settings import settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.benchmarks.bench_client import MemoryLedger, messages

MOST = 64
"""Calls at once that we may send."""


@dataclass(frozen=True)
class Figures:
    """How calls went."""

    calls_per_second: float
    refused: float
    answered: int


async def asked(url: str, calls: int, most: int) -> tuple[float, int]:
    """Ask so many calls; return the seconds that took, and the answers."""
    endpoint = Endpoint(model="simulated/teacher", api_base=url, max_concurrency=most)
    gateway = Gateway({"teacher": endpoint}, connect, settings())
    requests = [Request("teacher", str(number), messages(number)) for number in range(calls)]
    started = time.perf_counter()
    answers = await gateway.complete(requests, MemoryLedger(), lambda _: None)
    seconds = time.perf_counter() - started
    await gateway.close()
    return seconds, sum(isinstance(answer, Completion) for answer in answers)


def measured(server: SimulatorSettings, calls: int, most: int) -> Figures:
    """Ask a server of its own."""
    with SimulatedModel(server) as model:
        seconds, answered = asyncio.run(asked(model.url, calls, most))
        by_status = model.stats()["by_status"]
    return Figures(answered / seconds, by_status.get("429", 0) / sum(by_status.values()), answered)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1200)
    parser.add_argument("--takes", type=int, default=24, help="Calls at once that the server takes.")
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    shown = {}
    for jitter, retry_after in ((0.0, 0.05), (0.5, 0.05), (0.5, 1.0)):
        latency, takes = wanted.latency, wanted.takes
        server = SimulatorSettings(
            latency=latency, latency_jitter=jitter * latency, max_concurrency=takes, retry_after=retry_after
        )
        known, found = measured(server, wanted.calls, takes), measured(server, wanted.calls, MOST)
        ratio = found.calls_per_second / known.calls_per_second
        name = f"jitter {jitter:.0%}, Retry-After {retry_after:g} s"
        shown[name] = asdict(found) | {"ratio": ratio}
        if not wanted.json:
            print(
                f"{name:<32}{found.answered:6} answered{found.refused:8.1%} refused{found.calls_per_second:8.0f} calls/s"
                f"{ratio:8.2f} × one that knows"
            )
    if wanted.json:
        print(json.dumps(shown))


if __name__ == "__main__":
    main()
