"""A run on a Prefect server that keeps its history in PostgreSQL, started as the compose file of the deployments does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL, temporary_settings

from sdg_prefect.engine.server import Server, wait_until_ready
from tests.e2e.commands import ROOT, wait_for
from tests.e2e.history import History, states
from tests.e2e.servers import ask
from tests.ports import free_port
from tests.postgres import a_database

if TYPE_CHECKING:
    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SHARDS = 50
ROWS = 16
KEY = "key-of-the-teacher"
PASSWORD = "a/b@c:d%41 e#f?"
"""It has whatever an address could trip over."""


@contextmanager
def composed_server(folder: Path) -> Iterator[str]:
    """Start the server of ``compose.yaml`` on a PostgreSQL, and give the address of its API."""
    service = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text("utf-8"))["services"]["server"]
    said, port = service["environment"], free_port()
    name = said["PREFECT_SERVER_DATABASE_NAME"]
    assert said["PREFECT_SERVER_DATABASE_USER"] == name
    with a_database(folder, name, PASSWORD) as database, (folder / "server.log").open("wb") as log:
        place = {"PREFECT_SERVER_DATABASE_HOST": "127.0.0.1", "PREFECT_SERVER_DATABASE_PORT": str(database)}
        own = {
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(folder / "ui"),
            "DO_NOT_TRACK": "1",
        }
        kept = {one: value for one, value in os.environ.items() if not one.startswith("PREFECT_") or "_SERVICES_" in one}
        # Nobody looks at the forms of Prefect's blocks here.
        spared = {"PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false", "PREFECT_SERVER_MEMOIZE_BLOCK_AUTO_REGISTRATION": "false"}
        environment = {**kept, **said, **place, **own, **spared, "PREFECT_SERVER_DATABASE_PASSWORD": PASSWORD}
        command = [sys.executable, "-m", *service["command"], "--port", str(port)]
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}/api"
            wait_until_ready(Server(url, "", is_managed=False), 120)
            yield url
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


@contextmanager
def a_worker(pool: str, url: str) -> Iterator[None]:
    """Have a worker that makes its pool and runs what is scheduled there."""
    kept = {one: value for one, value in os.environ.items() if not one.startswith("PREFECT_")}
    own = {"PREFECT_API_URL": url, "PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "2"}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    quiet = subprocess.DEVNULL
    environment = {**kept, **own, "PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait(60)


def test_on_postgresql_a_killed_run_goes_on_and_every_task_run_is_recorded_once(
    project: Project, model: SimulatedModel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with composed_server(tmp_path_factory.mktemp("server")) as url:
        a_killed_run_goes_on(project, model, url)

        # The pages find the API wherever the browser is, and are there for a user who may not write where Prefect is installed.
        page = httpx.get(url.removesuffix("api"), headers={"Accept": "text/html"}, follow_redirects=True, timeout=60)
        assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (200, "text/html")
        assert httpx.get(url.removesuffix("api") + "ui-settings", timeout=60).json()["api_url"] == "/api"


@pytest.mark.long
def test_on_postgresql_a_deployed_run_is_killed_and_retried_with_a_key_that_only_prefect_knows(
    project: Project, model: SimulatedModel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with composed_server(tmp_path_factory.mktemp("server")) as url, a_worker("there", url):
        wait_for(lambda: bool(History(url).find("work_pools")), "the worker's pool")
        a_deployed_run_is_killed_and_retried(project, model, url)


def a_killed_run_goes_on(project: Project, model: SimulatedModel, url: str) -> None:
    rows = 2 * SHARDS
    project.seeds(rows)
    model.change(latency=0.3)
    history, words = History(url), ("--shard-size", "2", "--concurrency", "16")
    run = project.start(model.url, *words, PREFECT_API_URL=url)
    run.wait_for(lambda: model.stats()["completions"] >= rows // 2, "a quarter of the replies")
    run.send(signal.SIGKILL)
    run.wait()
    done = project.start(model.url, *words, PREFECT_API_URL=url).wait()
    assert done.code == 0, done.stderr
    assert 2 * rows <= model.stats()["calls"] <= 2 * rows + 16

    (killed,) = [one for one in history.find("flow_runs") if one["state_name"] == "Crashed" and not one["parent_task_run_id"]]
    assert done.report["run_id"] in killed["state"]["message"]
    tasks = history.all_tasks(done.report)
    expected = {f"{block} [{shard}/{SHARDS}]" for block in ("ask", "reply") for shard in range(1, SHARDS + 1)}
    assert Counter(one["name"] for one in tasks) == Counter(expected)
    assert states(tasks) == {("COMPLETED", "Completed"), ("COMPLETED", "Cached")}
    (progress,) = history.find(
        "artifacts",
        artifacts={"key": {"any_": ["small-progress"]}, "flow_run_id": {"any_": [history.run(done.report)["id"]]}},
    )
    assert "100% done" in progress["data"]


def a_deployed_run_is_killed_and_retried(project: Project, model: SimulatedModel, url: str) -> None:
    with temporary_settings({PREFECT_API_URL: url}):
        Secret(value=KEY).save("teacher")
    project.seeds(ROWS)
    model.change(latency=0.5, api_key=KEY)
    begun = model.stats()["completions"]
    places = "--input seeds.jsonl --output there.jsonl --storage there --shard-size 4 --concurrency 4".split()
    key = ("--api-key-env", "TEACHER_KEY", "--env", "TEACHER_KEY={{ prefect.blocks.secret.teacher }}")
    words = ("deploy", "flow.yaml", "--name", "there", "--pool", "there", "--api-base", model.url, *places, *key)
    deployed = project.command(*words, PREFECT_API_URL=url).wait()
    assert deployed.code == 0, deployed.stderr
    deployment = deployed.stdout.strip().rpartition("/")[2]
    run = ask("POST", f"{url}/deployments/{deployment}/create_flow_run", json={}).json()["id"]

    def shown() -> dict[str, Any]:
        # Who asks without a pause takes the time of those that are waited for.
        time.sleep(0.3)
        found: dict[str, Any] = ask("GET", f"{url}/flow_runs/{run}").json()
        return found

    def is_retried_to_its_end() -> bool:
        # Its worker says Crashed a second time, some seconds later, which undoes a retry.
        state = {"type": "SCHEDULED", "name": "AwaitingRetry"}
        now = shown()
        if now["state_name"] == "Crashed":
            ask("POST", f"{url}/flow_runs/{run}/set_state", json={"state": state, "force": True})
        return now["state_type"] in ("COMPLETED", "FAILED")

    wait_for(lambda: model.stats()["completions"] - begun >= ROWS // 2 or shown()["state_type"] == "FAILED", "replies")
    os.kill(int(shown()["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)
    wait_for(lambda: shown()["state_name"] == "Crashed" and not model.stats()["in_flight"], "a crashed run")
    model.change(latency=0.0)
    wait_for(is_retried_to_its_end, "the end of the retry")
    assert shown()["state"]["message"].startswith(f"completed: {ROWS} rows in, {ROWS} rows out"), shown()["state"]
    assert 2 * ROWS <= model.stats()["completions"] - begun <= 2 * ROWS + 4
    assert len(project.output("there.jsonl")) == ROWS
    told = httpx.get(f"{url}/deployments/{deployment}", timeout=60).text + httpx.get(f"{url}/flow_runs/{run}", timeout=60).text
    assert "prefect.blocks.secret.teacher" in told
    assert KEY not in told
