"""The page about deployments, command by command, on a real server with a real worker; then a schedule, and the API."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sdg_prefect.engine.server import begin_managed, wait_until_ready
from tests.e2e.commands import start, user_environment, wait_for
from tests.e2e.servers import ask
from tests.pages import Page

pytestmark = pytest.mark.e2e

_OURS = "python -m sdg_prefect "
_DONE = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture
def api() -> str:
    """The API of the server that all tests share."""
    server = begin_managed()
    wait_until_ready(server)
    return server.api_url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the first flow of the README, with what the page adds to it."""
    for page in (Page("README.md", "\n## Your own data"), Page("docs/deploying.md")):
        page.write_files(tmp_path)
    return tmp_path


def environment(folder: Path, api: str) -> dict[str, str]:
    """Return what the shell of a user has who has activated the environment and named the server."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    prefect = {"PREFECT_API_URL": api, "PREFECT_HOME": str(folder / "prefect-home"), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    return {**user_environment(), **prefect, "PATH": path}


def give(command: str, folder: Path, api: str) -> None:
    """Give a command as a user does."""
    if command.startswith(_OURS):
        # The same command, in a process that has everything imported; it finds the server by itself.
        ran = start(shlex.split(command.removeprefix(_OURS)), folder, user_environment()).wait()
        assert ran.code == 0, f"{command}\n{ran.stderr}"
        return
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment(folder, api), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


@contextmanager
def working(command: str, folder: Path, api: str) -> Iterator[None]:
    """Let a worker be there."""
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            command.split(), cwd=folder, env=environment(folder, api), stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        finally:
            worker.send_signal(signal.SIGINT)
            worker.wait(60)


def runs_of(api: str, deployment: str, *, by_schedule: bool) -> list[dict[str, Any]]:
    """Return the flow runs of a deployment that were made by its schedule, or by others."""
    wanted = {"deployments": {"name": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC"}
    found: list[dict[str, Any]] = ask("POST", f"{api}/flow_runs/filter", json=wanted).json()
    return [run for run in found if run["auto_scheduled"] is by_schedule]


def states_of(api: str, deployment: str) -> list[str]:
    """Return the states of the runs that a schedule made."""
    return [run["state_type"] for run in runs_of(api, deployment, by_schedule=True)]


def finished(api: str, run_id: str, log: Path) -> dict[str, Any]:
    """Wait for the end of a flow run."""
    last: dict[str, Any] = {}

    def is_done() -> bool:
        last.update(ask("GET", f"{api}/flow_runs/{run_id}").json())
        return last["state_type"] in _DONE

    wait_for(is_done, f"the end of {run_id}")
    assert last["state_type"] == "COMPLETED", (last["state"]["message"], log.read_text("utf-8"))
    return last


def test_the_way_from_a_laptop_to_a_schedule(folder: Path, api: str) -> None:
    log = folder / "worker.log"
    with ExitStack() as workers:
        for command in Page("docs/deploying.md", "\n## 7. In containers").commands():
            if command.startswith("prefect worker start"):
                workers.enter_context(working(command, folder, api))
            else:
                give(command, folder, api)
        asked = [runs_of(api, name, by_schedule=False)[0]["id"] for name in ("by-hand", "daily")]
        by_hand, daily = (finished(api, run, log) for run in asked)
        assert re.fullmatch(rf"{folder.name} \d{{4}}-\d\d-\d\d \d\d:\d\d", by_hand["name"])
        assert (daily["parameters"]["date"], daily["parameters"]["incremental"]) == ("2026-11-01", True)

        # What does not fit is refused before there is a run.
        deployment = ask("GET", f"{api}/deployments/name/run-flow-file/by-hand").json()
        for wrong in ({"limit": 0}, {"api_base": 1}, {"fresh": "maybe"}):
            reply = httpx.post(f"{api}/deployments/{deployment['id']}/create_flow_run", json={"parameters": wrong}, timeout=180)
            assert reply.status_code == 409, wrong

        # A schedule, and then a run by the API, on seeds that have grown.
        places = "--input seeds.jsonl --output often.jsonl --storage prefect:data-store/rows --incremental"
        often = f"python -m sdg_prefect deploy flow.yaml --name often --pool laptop {places}"
        soon = datetime.now(UTC) + timedelta(seconds=10)
        give(f"{often} --rrule 'DTSTART:{soon:%Y%m%dT%H%M%SZ}\nRRULE:FREQ=MINUTELY'", folder, api)
        wait_for(lambda: "COMPLETED" in states_of(api, "often"), "a scheduled run")

        # Who has paused it starts it again; and its name is no other flow's.
        before = ask("GET", f"{api}/deployments/name/run-flow-file/often").json()
        ask("PATCH", f"{api}/deployments/{before['id']}/schedules/{before['schedules'][0]['id']}", json={"active": False})
        give(f"{often} --interval 1h", folder, api)
        (schedule,) = ask("GET", f"{api}/deployments/name/run-flow-file/often").json()["schedules"]
        assert (schedule["active"], schedule["schedule"]["interval"]) == (False, 3600)
        (folder / "other.yaml").write_text("name: other\n" + (folder / "flow.yaml").read_text("utf-8"), "utf-8")
        other = start(
            shlex.split(often.removeprefix(_OURS).replace("flow.yaml", "other.yaml")), folder, user_environment()
        ).wait()
        assert (other.code, f"'often' of another flow, {folder / 'flow.yaml'}." in other.stderr) == (2, True), other.stderr
        give(often, folder, api)
        # One that has begun would take the new seed for itself.
        wait_for(lambda: not {"PENDING", "RUNNING"} & set(states_of(api, "often")), "the end of the scheduled runs")
        kept = ask("GET", f"{api}/deployments/name/run-flow-file/often").json()
        assert kept["schedules"] == []
        assert (kept["global_concurrency_limit"]["limit"], kept["concurrency_options"]["collision_strategy"]) == (1, "ENQUEUE")
        with (folder / "seeds.jsonl").open("a", encoding="utf-8") as seeds:
            seeds.write('{"text": "Salt melts ice because it lowers the point at which water freezes."}\n')
        made = ask("POST", f"{api}/deployments/{kept['id']}/create_flow_run", json={"parameters": {"keep_ids": True}}).json()
        finished(api, made["id"], log)
    rows = [json.loads(line) for line in (folder / "often.jsonl").read_text("utf-8").splitlines()]
    assert [bool(row["question"] and row["__row_id__"]) for row in rows] == [True] * 3
    assert json.loads((folder / "often.jsonl.versions" / "v0002.json").read_text("utf-8"))["rows"] == 1
