"""Runs of a deployment, on a worker: paused, resumed, cancelled and retried through the API, and suspended by their budget."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from sdg_prefect.engine import server
from sdg_prefect.engine.server import client_environment
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.commands import ROOT, wait_for
from tests.e2e.servers import ask
from tests.e2e.test_dead_runs import api
from tests.e2e.test_steering import pause, resume

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 24
CALLS = 2 * ROWS
CONCURRENCY = 2
WORKERS_WORD = "Flow run was cancelled successfully."
RETRY = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the Prefect UI"}


@pytest.fixture(scope="module")
def pool() -> Iterator[str]:
    """The name of a work pool, with a worker that runs what is scheduled there."""
    managed = server.begin_managed()
    server.wait_until_ready(managed)
    name = f"pool-{uuid4().hex[:8]}"
    kept = {one: value for one, value in os.environ.items() if not one.startswith("PREFECT_")}
    tuned = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "2", "SDG_PREFECT_CALL_BACKOFF": "0.02"}
    environment = {**kept, **client_environment(managed), **tuned, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", name, "--type", "process"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet, start_new_session=True) as worker:
        yield name
        os.killpg(worker.pid, signal.SIGTERM)
        worker.wait(60)


def deployed(project: Project, pool: str, parameters: dict[str, Any], **asked_too: Any) -> str:
    """Create a deployment, and return its id."""
    wait_for(lambda: bool(api("work_pools/filter", {"work_pools": {"name": {"any_": [pool]}}})), "the worker's pool")
    flow = api("flows/", {"name": "run-flow-file"})
    place = [{"prefect.deployments.steps.set_working_directory": {"directory": str(project.folder)}}]
    entrypoint = "sdg_prefect.engine.deployable.run_flow_file"
    asked = {"name": uuid4().hex, "flow_id": flow["id"], "work_pool_name": pool, "entrypoint": entrypoint, "pull_steps": place}
    usual = {"flow": "flow.yaml", "input": "seeds.jsonl", "output": "out.jsonl", "storage": "store", "concurrency": CONCURRENCY}
    return str(api("deployments/", {**asked, "parameters": {**usual, "shard_size": 3, **parameters}, **asked_too})["id"])


def begun_by(deployment: str) -> str:
    """Create a run of a deployment, and return its id."""
    return str(api(f"deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"])


def scheduled(project: Project, pool: str, **parameters: Any) -> str:
    """Create a deployment and a run of it, and return the id of that."""
    return begun_by(deployed(project, pool, parameters))


def shown(flow_run_id: str) -> dict[str, Any]:
    """Return what Prefect shows of a flow run."""
    managed = server.status()
    assert managed is not None
    found: dict[str, Any] = ask("GET", f"{managed.api_url}/flow_runs/{flow_run_id}").json()
    return found


def wait_for_state(flow_run_id: str, *names: str) -> dict[str, Any]:
    """Wait until a flow run is in one of some states."""
    try:
        wait_for(lambda: shown(flow_run_id)["state_name"] in names, f"state {' or '.join(names)}")
    except pytest.fail.Exception:
        pytest.fail(f"it is in state {shown(flow_run_id)['state']}")
    return shown(flow_run_id)


def wait_for_replies(model: SimulatedModel, count: int) -> None:
    wait_for(lambda: model.stats()["completions"] >= count, f"reply {count}")


def nothing_is_sent(model: SimulatedModel) -> int:
    """Wait until no call is open, and return how many were sent when it was told to stop."""
    wait_for(lambda: not model.stats()["in_flight"], "the end of the calls in flight", 30)
    return int(model.stats()["calls"])


def below(flow_run_id: str) -> list[str]:
    """Return the states of the runs of the flow below the flow run of a deployment, the earliest first."""
    found = api("flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [flow_run_id]}}, "sort": "START_TIME_ASC"})
    return [one["state_name"] for one in found]


def is_settled(flow_run_id: str) -> bool:
    """True once nobody sets a cancelled run to Cancelled any more: its worker does so when its process has ended, if it saw that."""
    state = shown(flow_run_id)["state"]
    age = datetime.now(UTC) - datetime.fromisoformat(state["timestamp"])
    return bool(state["message"] == WORKERS_WORD) or age > timedelta(seconds=45)


@pytest.mark.parametrize("runner", ["local", pytest.param("dask=2", marks=pytest.mark.long)])
def test_a_deployed_run_is_paused_resumed_cancelled_and_retried_and_pays_nothing_twice(
    project: Project, model: SimulatedModel, pool: str, runner: str
) -> None:
    project.seeds(ROWS)
    model.change(latency=1.0)
    run = scheduled(project, pool, api_base=model.url, runner=runner)
    wait_for_replies(model, 3)
    pause(run)
    wait_for(lambda: any(report["status"] == "suspended" for report in project.reports()), "the end of the process")
    sent = nothing_is_sent(model)
    assert wait_for_state(run, "Suspended")["state_type"] == "PAUSED"
    wait_for(lambda: below(run) == ["Cancelled"], "the end of the run below")
    assert model.stats()["completions"] == sent < CALLS

    assert resume(run)["status"] == "ACCEPT"
    wait_for_replies(model, sent + 4)
    assert (
        api(f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": True})["status"]
        == "ACCEPT"
    )
    wait_for_state(run, "Cancelled")
    sent = nothing_is_sent(model)
    wait_for(lambda: below(run) == ["Cancelled", "Cancelled"], "the end of the second run below")
    assert model.stats()["completions"] == sent < CALLS

    model.change(latency=0.0)
    wait_for(lambda: is_settled(run), "the end of its process")
    assert api(f"flow_runs/{run}/set_state", {"state": RETRY, "force": True})["status"] == "ACCEPT"
    ended = wait_for_state(run, "Completed", "Failed", "Crashed")
    assert ended["state_name"] == "Completed", ended["state"]
    assert ended["state"]["message"].startswith(f"completed: {ROWS} rows in, {ROWS} rows out")
    wait_for(lambda: below(run) == ["Cancelled", "Cancelled", "Completed"], "the end of the last run below")
    assert model.stats()["completions"] == CALLS
    assert len(project.output()) == ROWS


def test_a_deployed_run_whose_budget_is_used_up_waits_until_somebody_raises_it(
    project: Project, model: SimulatedModel, pool: str
) -> None:
    project.seeds(ROWS)
    run = scheduled(project, pool, api_base=model.url, budget_tokens=600)
    suspended = wait_for_state(run, "Suspended", "Failed", "Crashed")
    assert "the budget of 600 tokens is used up" in suspended["state"]["message"]
    paid = model.stats()["completions"]
    assert 0 < paid < CALLS
    assert resume(run, {"budget_tokens": 0})["status"] == "REJECT"
    assert resume(run, {"budget_tokens": 10**6})["status"] == "ACCEPT"
    ended = wait_for_state(run, "Completed", "Failed", "Crashed")
    assert ended["state_name"] == "Completed", ended["state"]
    assert (model.stats()["completions"], len(project.output())) == (CALLS, ROWS)
    assert project.report()["llm_calls"] == CALLS - paid


@pytest.mark.long
def test_a_deployed_run_whose_key_is_refused_waits_until_that_is_mended(
    project: Project, model: SimulatedModel, pool: str
) -> None:
    project.seeds(2)
    model.change(quota=1)
    run = scheduled(project, pool, api_base=model.url)
    suspended = wait_for_state(run, "Suspended", "Failed", "Crashed")
    assert "QuotaUsedUp" in suspended["state"]["message"]
    assert "Mend it, then resume this run" in suspended["state"]["message"]
    model.change(quota=None)
    assert resume(run)["status"] == "ACCEPT"
    assert wait_for_state(run, "Completed", "Failed", "Crashed")["state_name"] == "Completed"
    assert model.stats()["completions"] == 4


def test_a_deployed_run_that_is_wrong_fails_with_a_line_for_people(project: Project, model: SimulatedModel, pool: str) -> None:
    project.seeds(2)
    run = scheduled(project, pool, api_base=model.url, overrides=["ask.output_colz=[x]"])
    failed = wait_for_state(run, "Completed", "Failed", "Crashed")
    assert failed["state_name"] == "Failed"
    assert "output_colz" in failed["state"]["message"]
    assert "Traceback" not in failed["state"]["message"]
    logs = api("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
    assert not [log["message"] for log in logs if "Traceback" in log["message"]]
    assert model.stats()["calls"] == 0


@pytest.mark.long
def test_a_second_run_of_a_deployment_waits_where_only_one_may_be_at_work(
    project: Project, model: SimulatedModel, pool: str
) -> None:
    project.seeds(ROWS)
    model.change(latency=1.0)
    one_at_a_time = {"concurrency_limit": 1, "concurrency_options": {"collision_strategy": "ENQUEUE"}}
    deployment = deployed(project, pool, {"api_base": model.url}, **one_at_a_time)
    first = begun_by(deployment)
    wait_for_replies(model, 1)
    second = begun_by(deployment)
    wait_for_state(second, "AwaitingConcurrencySlot")
    assert shown(first)["state_name"] == "Running"
    model.change(latency=0.0)
    wait_for_state(first, "Completed")
    wait_for_state(second, "Nothing to do")
    assert model.stats()["completions"] == CALLS
