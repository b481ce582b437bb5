"""How long Prefect's server on SQLite leaves requests without an answer while many write: its app by itself, and as we start it.

Give ``python tests/benchmarks/bench_server.py``; it starts servers of its own, one after the other.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

import httpx

from sdg_prefect.engine.server_environment import prefect_home, server_environment

APPS = {"Prefect's own": "prefect.server.api.server:create_app", "ours": "sdg_prefect.engine.server_app:create_app"}
PORT = 8921
API = f"http://127.0.0.1:{PORT}/api"


def serve(factory: str) -> subprocess.Popen[bytes]:
    """Start a server, and wait until it answers."""
    prefect_home().mkdir(parents=True)
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        factory,
        "--host",
        "127.0.0.1",
        "--port",
        str(PORT),
        "--log-level",
        "error",
    ]
    process = subprocess.Popen(
        command, env=server_environment("127.0.0.1", PORT), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while True:
        try:
            httpx.get(f"{API}/health", trust_env=False).raise_for_status()
            return process
        except httpx.HTTPError:
            time.sleep(0.2)


class Writers:
    """Threads that make flow runs, each one going from pending to running, and the answers that they get."""

    def __init__(self, writers: int, seconds: float) -> None:
        self.answers: Counter[str] = Counter()
        self.longest = 0.0
        self._end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._write, args=(number,)) for number in range(writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _write(self, number: int) -> None:
        # Not kept alive: a connection that rests is closed by the server just when it is used again.
        with httpx.Client(timeout=90, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)) as client:
            flow = self._post(client, "flows/", {"name": f"flow-{number}"})
            while flow is not None and time.monotonic() < self._end:
                run = self._post(client, "flow_runs/", {"flow_id": flow["id"], "state": {"type": "PENDING"}})
                if run is not None:
                    self._post(client, f"flow_runs/{run['id']}/set_state", {"state": {"type": "RUNNING"}, "force": True})

    def _post(self, client: httpx.Client, path: str, body: dict[str, object]) -> dict[str, str] | None:
        started = time.monotonic()
        answer = client.post(f"{API}/{path}", json=body)
        self.longest = max(self.longest, time.monotonic() - started)
        self.answers["answered" if answer.is_success else "refused"] += 1
        return answer.json() if answer.is_success else None


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    told = parser.parse_args()
    for name, factory in APPS.items():
        with tempfile.TemporaryDirectory() as home:
            os.environ["SDG_PREFECT_HOME"] = home
            process = serve(factory)
            try:
                seen = Writers(told.writers, told.seconds)
            finally:
                process.kill()
                process.wait()
        print(f"{name}: {dict(seen.answers)}, the longest answer took {seen.longest:.1f} s", flush=True)


if __name__ == "__main__":
    main()
