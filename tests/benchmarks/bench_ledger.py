"""What the ledger costs a call, and what it costs to open one shard of a ledger with a million completions.

Run with ``python tests/benchmarks/bench_ledger.py``. Prints

- completions per second through the gateway with a ledger in memory, with the ledger in a local folder, and with a checkpoint for
  each shard besides: from a client that answers at once, and from the simulated model over HTTP, in a process of its own;
- milliseconds to open one shard of a ledger with a million completions, beside reading one file of the size of its segment,
  and to look for keys that no shard of the same rows has, for which all indexes are read once.

Ratios are to the ledger in memory, and to reading the file. Of several rounds, which take turns, the best counts. CPU time is that
of this process: other work on the machine does not change it much.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from sdg_prefect.counts import Counts
from sdg_prefect.models.client import Client
from sdg_prefect.models.completion import Choice, Completion, Request
from sdg_prefect.models.connecting import connect
from sdg_prefect.models.endpoint import Endpoint
from sdg_prefect.models.gateway import Gateway, Ledger
from sdg_prefect.rows import with_ids
from sdg_prefect.settings import Settings
from sdg_prefect.store.checkpoints import checkpoint_folder, write_checkpoint
from sdg_prefect.store.ledger.completions import BlockLedger
from sdg_prefect.store.ledger.segments import SegmentPath, encode_index, encode_line, scan
from sdg_prefect.store.root import Root
from tests.benchmarks.bench_client import MemoryLedger

RUN = "20260101-000000-aaaaaa"
SHARD_ROWS = 250
SHARDS_AT_ONCE = 8
TEXT = "The river rises in the hills behind the village and reaches the sea after forty miles. " * 12
KINDS = ("in memory", "ledger", "ledger and checkpoints")
SERVER = """
import sys
from sdg_prefect.simulator import SimulatedModel
with SimulatedModel() as model:
    print(model.url, flush=True)
    sys.stdin.read()
"""


class Rate(NamedTuple):
    """How fast completions came."""

    per_second: float
    cpu_us: float
    """Microseconds of CPU for each."""


class InstantClient:
    """Answers at once, in this process."""

    async def complete(self, request: Request) -> Completion:
        """Give the same reply to everybody."""
        return Completion((Choice(TEXT, "stop"),), "instant", 200, 250, 0.001, 0.01)

    async def close(self) -> None:
        """Do nothing."""


def requests_of(shard: int, rows: int) -> list[Request]:
    """Return the calls for the rows of a shard."""
    asked = f"Summarise in one sentence: {TEXT}"
    return [Request("teacher", f"{shard}-{row}", [{"role": "user", "content": asked}]) for row in range(rows)]


def write_rows(root: Root, shard: int, answers: list[Any]) -> None:
    """Write the replies as the checkpoint of a shard."""
    texts = [answer.choices[0].text for answer in answers]
    table = with_ids(pa.table({"reply": texts}), [f"{shard}-{row}" for row in range(len(texts))])
    write_checkpoint(root, checkpoint_folder("block", str(shard)), [table], Counts(), [], RUN, 0.0)


async def complete_all(kind: str, folder: Path, calls: int, endpoint: Endpoint, make: Callable[[Endpoint], Client]) -> Rate:
    """Let a run complete the rows of all its shards."""
    gateway, root = Gateway({"teacher": endpoint}, make, Settings()), Root.at(folder)
    block, slots = BlockLedger(root, "ask", RUN), asyncio.Semaphore(SHARDS_AT_ONCE)
    await gateway.complete(requests_of(-1, 1), MemoryLedger(), lambda _: None)

    async def one(shard: int) -> None:
        async with slots:
            kept = block.shard(f"content-{shard}")
            ledger: Ledger = MemoryLedger() if kind == "in memory" else kept
            answers = await gateway.complete(requests_of(shard, SHARD_ROWS), ledger, lambda _: None)
            if kind == "ledger and checkpoints":
                await asyncio.to_thread(write_rows, root, shard, answers)
                await asyncio.to_thread(kept.seal)

    started, busy = time.perf_counter(), time.process_time()
    shards = max(1, calls // SHARD_ROWS)
    await asyncio.gather(*(one(shard) for shard in range(shards)))
    made = shards * SHARD_ROWS
    rate = Rate(made / (time.perf_counter() - started), (time.process_time() - busy) / made * 1e6)
    await gateway.close()
    await block.close()
    return rate


def rates(calls: int, rounds: int, endpoint: Endpoint, make: Callable[[Endpoint], Client]) -> dict[str, Rate]:
    """Return how fast completions come with each kind of ledger."""
    best = dict.fromkeys(KINDS, Rate(0.0, float("inf")))
    for _ in range(rounds):
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                rate = asyncio.run(complete_all(kind, Path(folder), calls, endpoint, make))
                best[kind] = Rate(max(best[kind].per_second, rate.per_second), min(best[kind].cpu_us, rate.cpu_us))
    return best


@contextmanager
def simulated() -> Iterator[Endpoint]:
    """Serve the simulated model in a process of its own."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield Endpoint(model="simulated/teacher", api_base=process.stdout.readline().strip())
        process.communicate()


def fill(root: Root, completions: int, rows: int) -> None:
    """Write a ledger of many shards."""
    record = Completion((Choice(TEXT, "stop"),), "instant", 200, 250, 0.001, 0.01).to_record()
    for shard in range(completions // rows):
        data = b"".join(encode_line(f"{shard}-{row}", record) for row in range(rows))
        at = SegmentPath(f"ledger/ask/content-{shard}/{RUN}-{shard:020d}.jsonl")
        root.write(data, at.path)
        root.write(encode_index(scan(data).entries, len(data)), at.index)


async def find_one(root: Root, content: str, key: str, *, is_there: bool) -> float:
    """Return the milliseconds until a run has opened a shard and found a key, or not."""
    shard = BlockLedger(root, "ask", RUN).shard(content)
    started = time.perf_counter()
    found = await shard.find(key)
    milliseconds = (time.perf_counter() - started) * 1000
    assert (found is not None) == is_there
    return milliseconds


def openings(completions: int, rows: int, rounds: int) -> dict[str, float]:
    """Return milliseconds for each way into a large ledger."""
    with tempfile.TemporaryDirectory() as folder:
        root = Root.at(folder)
        fill(root, completions, rows)
        [segment] = Path(folder, "ledger", "ask", "content-7").glob("*.jsonl")
        best: dict[str, float] = {}

        def note(name: str, milliseconds: float) -> None:
            best[name] = min(best.get(name, milliseconds), milliseconds)

        for _ in range(rounds):
            started = time.perf_counter()
            segment.read_bytes()
            note("read one segment file", (time.perf_counter() - started) * 1000)
            started = time.perf_counter()
            scan(segment.read_bytes())
            note("read and check it", (time.perf_counter() - started) * 1000)
            note("open its shard, find a key", asyncio.run(find_one(root, "content-7", "7-3", is_there=True)))
            note("open a new shard, find a key elsewhere", asyncio.run(find_one(root, "new", "7-3", is_there=True)))
    return best


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--completions", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=500, help="completions of one shard of the large ledger")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    instant = Endpoint(model="instant")
    figures = {"at once": rates(asked.calls, asked.rounds, instant, lambda _: InstantClient())}
    with simulated() as endpoint:
        figures["over HTTP"] = rates(asked.calls, asked.rounds, endpoint, connect)
    opened = openings(asked.completions, asked.rows, asked.rounds)
    if asked.json:
        shown = {name: {kind: rate._asdict() for kind, rate in of.items()} for name, of in figures.items()}
        ratios = {
            name: {kind: rate.per_second / of["in memory"].per_second for kind, rate in of.items()}
            for name, of in figures.items()
        }
        print(json.dumps({"completions": shown, "ratio_to_in_memory": ratios, "open_ms": opened}))
        return
    for name, of in figures.items():
        for kind, rate in of.items():
            ratios_of = rate.per_second / of["in memory"].per_second, rate.cpu_us / of["in memory"].cpu_us
            print(f"{name:<11}{kind:<24}{rate.per_second:9,.0f} completions/s{ratios_of[0]:6.2f} × in memory", end="")
            print(f"{rate.cpu_us:9,.0f} µs of CPU each{ratios_of[1]:6.2f} ×")
    base = opened["read one segment file"]
    print(f"\na ledger of {asked.completions:,} completions, {asked.rows:,} for each shard")
    for name, milliseconds in opened.items():
        print(f"{name:<42}{milliseconds:10.2f} ms{milliseconds / base:10.1f} × one file")


if __name__ == "__main__":
    main()
