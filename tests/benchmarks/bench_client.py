"""What a call costs through the gateway with each client, beside a bare aiohttp loop, on the same simulated server.

Run with ``python tests/benchmarks/bench_client.py``. The server is a process of its own and answers at once; 64 calls are open all the
time. Prints for each way calls per second and milliseconds of this process's CPU per call, and the ratios to the bare loop:

- bare aiohttp: post, read, parse,
- the client alone,
- the client behind the gateway, with a ledger that keeps completions in memory.

CPU per call is the figure to look at; calls per second depend on what else the machine and the server do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sdg_prefect.loops import run_to_end
from sdg_prefect.models.completion import Completion, Failure, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.gateway import Gateway
from sdg_prefect.settings import settings

CONCURRENCY = 64
PROMPT = "Answer in a few words: what is the sum of {number} and {number}? Write the answer between <answer> and </answer>."
PARAMS = {"temperature": 0, "max_tokens": 64}


@dataclass(frozen=True)
class Figures:
    """What one way of calling took."""

    calls_per_second: float
    cpu_ms: float


class MemoryLedger:
    """Keeps completions as a dict does."""

    def __init__(self) -> None:
        self.kept: dict[str, Mapping[str, Any]] = {}

    async def open(self) -> None:
        """Do nothing."""

    async def find(self, key: str) -> Mapping[str, Any] | None:
        """Return what is known."""
        return self.kept.get(key)

    def keep(self, key: str, record: Mapping[str, Any]) -> None:
        """Remember."""
        self.kept[key] = record

    async def flush(self) -> None:
        """Do nothing."""


def messages(number: int) -> list[dict[str, str]]:
    """Return the prompt of a call."""
    return [{"role": "user", "content": PROMPT.format(number=number)}]


async def side_by_side(call: Callable[[int], Awaitable[Any]], numbers: range) -> None:
    """Make calls with so many at once."""
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            await call(number)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))


async def bare(url: str, numbers: range) -> None:
    """Call with aiohttp alone."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(number: int) -> None:
            body = {"model": "simulated/teacher", "messages": messages(number), **PARAMS}
            async with session.post(f"{url}/chat/completions", json=body) as response:
                reply = await response.json()
                assert reply["choices"][0]["message"]["content"]

        await side_by_side(call, numbers)


async def client_alone(endpoint: Endpoint, numbers: range) -> None:
    """Call with one of our clients."""
    client = connect(endpoint)

    async def call(number: int) -> None:
        completion = await client.complete(Request("teacher", str(number), messages(number), params=PARAMS))
        assert completion.choices[0].text

    await side_by_side(call, numbers)
    await client.close()


async def through_the_gateway(endpoint: Endpoint, numbers: range) -> None:
    """Call as a run does."""
    gateway = Gateway({"teacher": endpoint}, connect, settings().model_copy(update={"concurrency": CONCURRENCY}))
    requests = [Request("teacher", str(number), messages(number), params=PARAMS) for number in numbers]
    done: list[Completion | Failure] = []
    answers = await gateway.complete(requests, MemoryLedger(), done.append)
    assert len(done) == len(requests)
    assert all(isinstance(answer, Completion) for answer in answers)
    await gateway.close()


def measured(work: Callable[[range], Awaitable[None]], calls: int) -> Figures:
    """Run once to warm up, then measure."""

    async def run() -> Figures:
        await work(range(CONCURRENCY))
        cpu, clock = time.process_time(), time.perf_counter()
        await work(range(CONCURRENCY, CONCURRENCY + calls))
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
        return Figures(calls / clock, 1000 * cpu / calls)

    return run_to_end(run())


@contextmanager
def served() -> Iterator[str]:
    """Serve the simulated model from another process."""
    words = [sys.executable, "-m", "sdg_prefect", "simulate", "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    try:
        assert process.stdout is not None
        url = next(word.rstrip(".,") for line in process.stdout for word in line.split() if word.startswith("http://"))
        yield url
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    figures: dict[str, Figures] = {}
    with served() as url:
        figures["bare aiohttp"] = measured(partial(bare, url), asked.calls)
        for client in ("openai", "litellm"):
            endpoint = Endpoint.model_validate({"model": "simulated/teacher", "api_base": url, "client": client})
            calls = asked.calls if client == "openai" else max(CONCURRENCY, asked.calls // 10)
            figures[f"{client}, alone"] = measured(partial(client_alone, endpoint), calls)
            figures[f"{client}, gateway"] = measured(partial(through_the_gateway, endpoint), calls)
    base = figures["bare aiohttp"]
    if asked.json:
        print(json.dumps({name: vars(found) | {"ratio": found.cpu_ms / base.cpu_ms} for name, found in figures.items()}))
        return
    for name, found in figures.items():
        rate, ratio = found.calls_per_second, found.cpu_ms / base.cpu_ms
        print(f"{name:<18}{rate:8.0f} calls/s{found.cpu_ms:8.3f} ms CPU per call{ratio:8.2f} × bare aiohttp")


if __name__ == "__main__":
    main()
