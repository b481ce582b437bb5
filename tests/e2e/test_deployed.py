"""Runs of a deployment, on a worker: paused, resumed, cancelled and retried through the API, and suspended by their budget."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from sdg_prefect.engine import server
from sdg_prefect.engine.answers import REVIEW, keep_decisions
from sdg_prefect.engine.ending import ended
from sdg_prefect.engine.server import client_environment
from sdg_prefect.report.run_report import RunReport
from sdg_prefect.simulator import SimulatedModel
from sdg_prefect.store.reviews import forget_decision, read_decision
from sdg_prefect.store.root import Root
from tests.e2e.commands import ROOT, wait_for
from tests.e2e.servers import ask
from tests.e2e.test_dead_runs import api
from tests.e2e.test_reviews import FLOW as GATED
from tests.e2e.test_steering import pause, resume

if TYPE_CHECKING:
    from tests.e2e.conftest import Project
    from tests.e2e.history import History

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


@contextmanager
def in_a_pod(flow_run_id: str, behavior: str) -> Iterator[subprocess.Popen[bytes]]:
    """Execute a flow run as the container of a Kubernetes job does."""
    managed = server.status()
    assert managed is not None
    kept = {one: value for one, value in os.environ.items() if not one.startswith("PREFECT_")}
    told = {"PREFECT__FLOW_RUN_ID": flow_run_id, "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": behavior}
    environment = {**kept, **client_environment(managed), **told, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "prefect", "flow-run", "execute"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, start_new_session=True, stdout=pipe, stderr=subprocess.STDOUT) as pod:
        try:
            yield pod
        finally:
            pod.kill()


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


def test_a_deployed_run_waits_for_money_and_for_a_decision_without_a_process(
    project: Project, model: SimulatedModel, pool: str
) -> None:
    project.write("flow.yaml", GATED)
    project.seeds(ROWS)
    run = scheduled(project, pool, api_base=model.url, budget_tokens=600)
    suspended = wait_for_state(run, "Suspended", "Failed", "Crashed")
    assert "the budget of 600 tokens is used up" in suspended["state"]["message"]
    assert "Resume this run to give it more" in suspended["state"]["message"]
    paid = model.stats()["completions"]
    assert 0 < paid < ROWS
    assert resume(run, {"budget_tokens": 0})["status"] == "REJECT"
    assert resume(run, {"budget_tokens": 10**6})["status"] == "ACCEPT"

    waits = wait_for_state(run, "Suspended", "Completed", "Failed", "Crashed")
    assert f"{ROWS} rows wait for a decision. Resume this run" in waits["state"]["message"]
    # A place among the runs of the deployment, and on the worker, would be lost to others, and Prefect would end who kept it.
    wait_for(lambda: below(run) == ["Stopped by budget", "Waits for review"], "the end of the second run below")
    assert model.stats()["completions"] == ROWS
    decision = ("review", "--storage", "store", "--drop-where", "'Island 5 ' in document")
    nobody = project.command(*decision, PREFECT_API_URL="http://127.0.0.1:9/api").wait()
    assert (nobody.code, "The run that waits has to be resumed by hand, at http" in nobody.stderr) == (0, True), nobody.stderr
    decided = project.command(*decision).wait()
    assert (decided.code, "The decision is kept" in decided.stderr) == (0, False), decided.stderr
    ended = wait_for_state(run, "Completed", "Failed", "Crashed")
    assert ended["state_name"] == "Completed", ended["state"]
    assert (model.stats()["completions"], len(project.output())) == (CALLS - 1, ROWS - 1)
    (told,) = project.report()["reviews"]
    assert (told["decision"], told["by"]) == ("drop", "the command line")


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


def test_the_tag_of_a_deployed_run_says_how_it_ended_last(history: History) -> None:
    flow = api("flows/", {"name": "run-flow-file"})
    run = api("flow_runs/", {"flow_id": flow["id"], "tags": ["mine", "too many rejects"]})["id"]
    nothing = RunReport("nothing_new", "20260101-000000-abcdef", "small", 0, 0, (), 0.0, "out.jsonl", "store")
    with temporary_settings({PREFECT_API_URL: history.api_url}):
        state = asyncio.run(ended(UUID(run), nothing, None))
    assert state.name == "Completed"
    assert shown(run)["tags"] == ["mine", "nothing to do"]


def test_a_decision_that_was_given_in_the_ui_is_taken_once(history: History, tmp_path: Path) -> None:
    run = api("flow_runs/", {"flow_id": api("flows/", {"name": "run-flow-file"})["id"]})["id"]
    key = f"{REVIEW}4f00-20260101-000000-abcdef-response"
    answer = {"key": key, "value": json.dumps({"decision": "drop", "drop_rows": ["a"]})}
    ask("POST", f"{history.api_url}/flow_runs/{run}/input", json=answer)
    root = Root.chosen(str(tmp_path))
    with temporary_settings({PREFECT_API_URL: history.api_url}):
        asyncio.run(keep_decisions(root, UUID(run)))
        kept = read_decision(root, "4f00")
        assert kept is not None
        assert (kept["decision"], kept["drop_rows"], kept["by"]) == ("drop", ["a"], "Prefect's UI")
        forget_decision(root, "4f00")
        asyncio.run(keep_decisions(root, UUID(run)))
    assert read_decision(root, "4f00") is None


@pytest.mark.long
@pytest.mark.parametrize("behavior", ["reschedule", "relinquish"])
def test_a_pod_that_is_told_to_end_leaves_its_run_to_the_next_one(
    project: Project, model: SimulatedModel, history: History, behavior: str
) -> None:
    project.seeds(ROWS)
    model.change(latency=1.0)
    # Nobody works for this pool: the test does what the job of a worker does.
    idle = f"pods-{uuid4().hex[:8]}"
    api("work_pools/", {"name": idle, "type": "process"})
    run = begun_by(deployed(project, idle, {"api_base": model.url}))
    with in_a_pod(run, behavior) as pod:
        wait_for_replies(model, 3)
        told_at = time.monotonic()
        pod.send_signal(signal.SIGTERM)
        said = pod.communicate(timeout=60)[0].decode()
        took = time.monotonic() - told_at
    assert (pod.returncode, "Traceback" in said) == (0 if behavior == "reschedule" else 1, False), said
    sent = nothing_is_sent(model)
    assert took < 30, "seconds, after which the pod is killed"
    assert model.stats()["completions"] == sent < CALLS
    assert shown(run)["state_name"] == ("AwaitingRetry" if behavior == "reschedule" else "Running")
    assert below(run) == ["Cancelled"]
    model.change(latency=0.0)
    with in_a_pod(run, behavior) as pod:
        said = pod.communicate(timeout=180)[0].decode()
    assert (pod.returncode, shown(run)["state_name"]) == (0, "Completed"), said
    assert below(run) == ["Cancelled", "Completed"]
    assert (model.stats()["completions"], len(project.output())) == (CALLS, ROWS)


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
    assert "nothing to do" in wait_for_state(second, "Completed")["tags"]
    assert model.stats()["completions"] == CALLS
