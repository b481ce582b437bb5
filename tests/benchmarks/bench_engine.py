"""What a task run of ours costs beside a bare one of Prefect's, on the same server, in the same process.

Run with ``python tests/benchmarks/bench_engine.py``. Prints milliseconds per task run of

- a bare Prefect task that returns a small value, awaited in a flow,
- the same with its result persisted in a local folder,
- a block of ours on a shard: its rows read from the store, turned, written as Arrow, and recorded,
- the same shards again, replayed from the store,

and the ratios to the second line, which is what any flow with checkpoints pays.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.outcome import Outcome
from sdg_prefect.engine.start import run

BLOCKS = 3


def flow_file(folder: Path) -> Path:
    """Write a flow of blocks that do next to nothing."""
    maps = [{"a": "b"}, {"b": "c"}, {"c": "a"}]
    items = [
        {"block_type": "RenameColumns", "block_config": {"block_name": f"rename_{number}", "columns_map": names}}
        for number, names in enumerate(maps)
    ]
    path = folder / "flow.yaml"
    path.write_text(json.dumps(items))
    return path


def ours(folder: Path, shards: int) -> float:
    """Return the milliseconds per task run of one of our runs."""
    options = RunOptions(
        flow=flow_file(folder), input=[{"a": n} for n in range(shards)], storage=str(folder / "store"), shard_size=1
    )
    outcome: Outcome = run(options)
    return outcome.report.seconds * 1000 / (BLOCKS * shards)


def bare(runs: int, storage: Path | None) -> float:
    """Return the milliseconds per run of a bare Prefect task."""
    from prefect import Flow, Task
    from prefect.cache_policies import NO_CACHE

    async def give(number: int) -> dict[str, int]:
        return {"number": number}

    nothing: Task[Any, Any] = Task(give, persist_result=storage is not None, result_storage=storage, cache_policy=NO_CACHE)

    slots = asyncio.Semaphore(64)

    async def one(number: int) -> None:
        async with slots:
            await nothing(number)

    async def all_of_them() -> None:
        await asyncio.gather(*(one(number) for number in range(runs)))

    body: Flow[Any, Any] = Flow(all_of_them, name="bench-bare")
    started = time.perf_counter()
    asyncio.run(cast("Coroutine[Any, Any, None]", body()))
    return (time.perf_counter() - started) * 1000 / runs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "warm").mkdir()
        ours(folder / "warm", 4)
        figures: dict[str, Any] = {"ours": ours(folder, asked.shards), "ours, replayed": ours(folder, asked.shards)}
        figures["bare"] = bare(BLOCKS * asked.shards, None)
        figures["bare, persisted"] = bare(BLOCKS * asked.shards, folder / "results")
    base = figures["bare, persisted"]
    if asked.json:
        print(json.dumps({"ms_per_task_run": figures, "ratio_to_bare_persisted": {k: v / base for k, v in figures.items()}}))
        return
    for label in ("bare", "bare, persisted", "ours", "ours, replayed"):
        print(f"{label:<18}{figures[label]:8.2f} ms per task run{figures[label] / base:8.2f} × bare persisted")


if __name__ == "__main__":
    main()
