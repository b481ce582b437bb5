"""What a limit costs that runs share through Prefect's server (``shared_limit``), beside the same runs without one.

Run with ``python -m tests.benchmarks.bench_leases``. A flow of one block asks a simulated model in a process of its own, on a Prefect
server of its own. Prints calls per second

- of one run that may have all calls open, by its own limit and by a shared one of the same size;
- of two runs at once, each with half of the calls by its own limit, and with a shared one for both;

the ratios of each pair, and the most calls that the model ever had open. Rounds take turns; the best of each kind counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.bench_peers import served
from tests.ports import free_port

NAME = "bench"
PROMPT = {"generation": "Say something about {{ id }}.", "start_tags": [""], "end_tags": [""]}
BLOCK = {"block_name": "ask", "config_path": "ask.yaml", "model_id": "teacher", "output_cols": ["reply"]}


class Figures(NamedTuple):
    """How fast calls were answered, and how many were open at once."""

    per_second: float
    open_at_most: int


class Bench:
    """Runs of one flow in a folder, each a process with a store of its own."""

    def __init__(self, folder: Path, url: str, rows: int, most: int) -> None:
        self._folder, self._url, self._rows, self._most = folder, url, rows, most
        (folder / "ask.yaml").write_text(json.dumps(PROMPT))
        (folder / "flow.yaml").write_text(json.dumps([{"block_type": "LLMBlock", "block_config": BLOCK}]))
        (folder / "seeds.jsonl").write_text("".join(json.dumps({"id": number}) + "\n" for number in range(rows)))
        shared = {"teacher": {"model": "simulated/teacher", "api_base": url, "shared_limit": NAME}}
        (folder / "shared.yaml").write_text(json.dumps(shared))
        self._number = 0

    def measured(self, runs: int, *, is_shared: bool) -> Figures:
        """Let so many runs go at once."""
        urllib.request.urlopen(urllib.request.Request(f"{self._url}/stats/reset", method="POST"))
        started = [self._start(self._most if is_shared else self._most // runs, is_shared=is_shared) for _ in range(runs)]
        reports = [json.loads(process.communicate()[0].splitlines()[-1]) for process in started]
        with urllib.request.urlopen(f"{self._url}/stats") as reply:
            most = json.load(reply)["peak_in_flight"]
        return Figures(self._rows * runs / max(report["seconds"] for report in reports), most)

    def _start(self, most: int, *, is_shared: bool) -> subprocess.Popen[str]:
        self._number += 1
        models = ["--models", "shared.yaml"] if is_shared else ["--api-base", self._url]
        words = ["run", "flow.yaml", "--input", "seeds.jsonl", "--storage", f"store-{self._number}", *models, "--json"]
        output = ["--output", f"out-{self._number}.jsonl", "--concurrency", str(most)]
        command = [sys.executable, "-m", "sdg_prefect", *words, *output]
        return subprocess.Popen(command, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


async def make_limit(slots: int) -> None:
    """Make the limit that runs share."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

    async with get_client() as client:
        await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=NAME, limit=slots))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--calls", type=int, default=64, help="calls at once")
    parser.add_argument("--latency", type=float, default=0.1)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-leases-") as name:
        os.environ |= {"SDG_PREFECT_HOME": f"{name}/home", "SDG_PREFECT_SERVER_PORT": str(free_port())}
        from sdg_prefect.engine import server

        managed = server.begin_managed()
        try:
            server.wait_until_ready(managed)
            os.environ["PREFECT_API_URL"] = managed.api_url
            asyncio.run(make_limit(asked.calls))
            with served({"latency": asked.latency}, []) as url:
                bench = Bench(Path(name), url, asked.rows, asked.calls)
                bench.measured(1, is_shared=True)
                for runs in (1, 2):
                    best: dict[bool, Figures] = {}
                    for _ in range(asked.rounds):
                        for is_shared in (False, True):
                            found = bench.measured(runs, is_shared=is_shared)
                            best[is_shared] = max(found, best.get(is_shared, found))
                    ratio = best[True].per_second / best[False].per_second
                    print(f"{runs} run{'s' * (runs > 1)}, {asked.calls} calls at once in all: own limits {best[False].per_second:6.0f}/s, "
                          f"shared {best[True].per_second:6.0f}/s, ratio {ratio:.2f}; open at most {best[True].open_at_most}")  # fmt: skip
        finally:
            os.environ.pop("PREFECT_API_URL", None)
            with suppress(server.ServerError):
                server.stop()


if __name__ == "__main__":
    main()
