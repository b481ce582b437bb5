"""What more workers bring: the same run in one process, and on one, two, ... workers of Dask.

Run with ``python tests/benchmarks/bench_runners.py``; ``--workers 1 2 4`` and ``--runner ray`` choose others. Prints rows per second,
and the ratios to the first line, of

- a block that keeps a core busy for some milliseconds a row: more workers do more rows, as far as there are cores,
- a block that waits for a model with a limit of calls in flight: the limit is one for all workers, so the rate stays.

The time to start the workers is not in the rates; it is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.start import run
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings

BUSY = '''\
from hashlib import pbkdf2_hmac

from sdg_prefect import Block, block


@block("BenchHashBlock")
class BenchHashBlock(Block):
    """Hash a column again and again; the loop around it holds the lock of the interpreter."""

    rounds: int

    def writes(self):
        return ["hash"]

    def run(self, rows, context):
        def hashed(row):
            value = row["text"].encode()
            for _ in range(self.rounds):
                value = pbkdf2_hmac("sha256", value, b"salt", 1)
            return {"hash": value.hex()}

        return rows.map(hashed)
'''
ASK = "generation: Say <said>something</said> about {{text}}.\nstart_tags: [<said>]\nend_tags: [</said>]\n"
FLOWS = {
    "busy": [{"block_type": "BenchHashBlock", "block_config": {"block_name": "hash", "rounds": 2000}}],
    "asking": [
        {
            "block_type": "LLMBlock",
            "block_config": {"block_name": "ask", "config_path": "ask.yaml", "model_id": "teacher", "output_cols": ["said"]},
        }
    ],
}


def measured(folder: Path, flow: str, rows: int, runner: str, url: str, concurrency: int) -> tuple[float, float]:
    """Return the rows per second of a run, and the seconds until its first block began."""
    name = runner.replace("=", "-")
    options = RunOptions(
        flow=folder / f"{flow}.yaml",
        input=[{"text": f"text {number}"} for number in range(rows)],
        storage=str(folder / f"store-{flow}-{name}"),
        api_base=url,
        concurrency=concurrency,
        shard_size=max(1, rows // 32),
        runner=runner,
    )
    started = time.perf_counter()
    seconds = run(options, is_last=False).report.seconds
    return rows / seconds, time.perf_counter() - started - seconds


def table(folder: Path, runners: Sequence[str], rows: dict[str, int], concurrency: int) -> list[dict[str, Any]]:
    """Run every flow on every runner."""
    lines = []
    for flow, count in rows.items():
        first = 0.0
        for runner in runners:
            with SimulatedModel(SimulatorSettings(latency=0.05)) as model:
                rate, start = measured(folder, flow, count, runner, model.url, concurrency)
                peak = model.stats()["peak_in_flight"]
            first = first or rate
            line = {"flow": flow, "runner": runner, "rows_per_second": rate, "ratio": rate / first, "seconds_to_start": start}
            lines.append({**line, "peak_in_flight": peak} if flow == "asking" else line)
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runner", default="dask", choices=["dask", "ray"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rows", type=int, default=640)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    runners = ["local", *(f"{asked.runner}={count}" for count in asked.workers)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "busy_blocks.py").write_text(BUSY)
        (folder / "ask.yaml").write_text(ASK)
        for flow, blocks in FLOWS.items():
            (folder / f"{flow}.yaml").write_text(json.dumps(blocks))
        load_own_blocks([str(folder / "busy_blocks.py")])
        measured(folder, "busy", 32, "local", "http://127.0.0.1:9/v1", 1)  # imports, and the server's start
        lines = table(folder, runners, {"busy": asked.rows, "asking": 4 * asked.rows}, asked.concurrency)
    cores = len(os.sched_getaffinity(0))
    if asked.json:
        print(json.dumps({"cores": cores, "lines": lines}))
        return
    print(f"{cores} cores; at most {asked.concurrency} calls in flight, 50 ms each")
    for line in lines:
        peak = f"{line['peak_in_flight']:6} calls in flight at most" if "peak_in_flight" in line else ""
        print(
            f"{line['flow']:<8}{line['runner']:<8}{line['rows_per_second']:9.1f} rows/s{line['ratio']:7.2f} × local"
            f"{line['seconds_to_start']:7.1f} s to start and end{peak}"
        )


if __name__ == "__main__":
    main()
