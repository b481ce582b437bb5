"""Runs that end without a word, and runs that are cancelled in Prefect's UI: what Prefect and the store show of them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.engine import server
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.servers import a_home, ask

if TYPE_CHECKING:
    from tests.e2e.commands import Started
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

ROWS = 36
CALLS = 2 * ROWS
CONCURRENCY = 2
WORDS = ("--shard-size", "3", "--concurrency", str(CONCURRENCY))
SLOW = 2.0
"""Seconds of a call: the run takes more than a minute, which is enough to find it in the middle."""
STEERED = [
    ("the run", "local"),
    pytest.param("a pipeline", "local", marks=pytest.mark.long),
    pytest.param("the run", "dask=2", marks=pytest.mark.long),
]
"""What somebody steers in the UI, and where its blocks are at work."""
UNFINISHED = {"SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"}


def api(path: str, body: dict[str, Any]) -> Any:
    """Ask the managed server."""
    managed = server.status()
    assert managed is not None
    return ask("POST", f"{managed.api_url}/{path}", json=body).json()


def family(run_id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the flow runs of a run, it first, and their task runs."""
    flow_runs = api("flow_runs/filter", {"flow_runs": {"name": {"any_": [f"small {run_id}"]}}})
    if flow_runs:
        flow_runs += api("flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [flow_runs[0]["id"]]}}})
    ids = [flow_run["id"] for flow_run in flow_runs]
    return flow_runs, api("task_runs/filter", {"flow_runs": {"id": {"any_": ids}}}) if ids else []


def left(run_id: str) -> list[str]:
    """Return what of a run Prefect shows as going on."""
    return [f"{one['name']} {one['state_name']}" for kind in family(run_id) for one in kind if one["state_type"] in UNFINISHED]


def begun(project: Project, model: SimulatedModel, runner: str = "local") -> tuple[Started, str]:
    """Start a slow run, and return it with its id when Prefect shows a pipeline and tasks at work and a shard is done."""
    project.seeds(ROWS)
    model.change(latency=SLOW)
    known = {path.parent.name for path in project.store.glob("runs/*/*")}
    # A process from nothing where it has workers: no fork of another one may have such children.
    variables = {} if runner == "local" else {"PYTHONHASHSEED": "0"}
    run = project.start(model.url, *WORDS, "--runner", runner, **variables)
    run.wait_for(lambda: any(project.store.glob("checkpoints/*/*/result.json")), "the first shard")
    (alive,) = [path for path in project.store.glob("runs/*/alive.json") if path.parent.name not in known]
    run_id = alive.parent.name

    def is_shown() -> bool:
        flow_runs, task_runs = family(run_id)
        at_work = [one for one in (*flow_runs, *task_runs) if one["state_type"] == "RUNNING"]
        return len(flow_runs) > 1 and {one["name"].split()[0] for one in at_work} >= {"small", "questions", "ask"}

    run.wait_for(is_shown, "a task run at work")
    return run, run_id


def killed(project: Project, model: SimulatedModel) -> str:
    """Kill a run in the middle and return its id."""
    run, run_id = begun(project, model)
    run.send(signal.SIGKILL)
    assert run.wait().code == -signal.SIGKILL
    model.change(latency=0.0)
    return run_id


def test_a_killed_run_is_crashed_as_soon_as_another_one_begins(project: Project, model: SimulatedModel) -> None:
    dead = killed(project, model)
    assert left(dead)
    assert (project.store / "runs" / dead / "alive.json").exists()
    ran = project.run(model.url, *WORDS)
    assert ran.code == 0, ran.stderr
    assert left(dead) == []
    whole, *pipelines = family(dead)[0]
    assert whole["state_name"] == "Crashed"
    assert ran.report["run_id"] in whole["state"]["message"]
    assert {one["state_name"] for one in pipelines} <= {"Crashed", "Completed"}
    assert not list(project.store.glob("runs/*/alive.json"))


def test_a_killed_run_has_a_report_that_says_so(project: Project, model: SimulatedModel) -> None:
    dead = killed(project, model)
    assert project.command("report", "--storage", "store").wait().code in (0, 2)
    assert project.run(model.url, *WORDS).code == 0
    shown = project.command("report", dead, "--storage", "store").wait()
    assert shown.code == 0, shown.stderr
    assert f"run {dead}: crashed" in shown.stdout
    assert "without a word" in shown.stdout
    assert project.command("rejects", dead, "--storage", "store").wait().code == 0


@pytest.mark.long
def test_a_run_that_died_with_its_server_is_crashed_when_both_are_there_again(project: Project, model: SimulatedModel) -> None:
    with a_home(project.folder / "home"):
        dead = killed(project, model)
        assert server.stop()
        again = project.run(model.url, *WORDS)
        assert again.code == 0, again.stderr
        assert left(dead) == []
        assert family(dead)[0][0]["state_name"] == "Crashed"


def test_a_living_run_is_left_alone(project: Project, model: SimulatedModel) -> None:
    run, run_id = begun(project, model)
    # However busy this machine is, the first run is not over before the second.
    model.change(latency=6 * SLOW)
    # Seeds of its own: it would wait for shards that the first run is at.
    project.seeds(project.documents(ROWS + 3)[ROWS:])
    with SimulatedModel() as quick:
        other = project.run(quick.url, *WORDS, "--output", "other.jsonl")
    assert other.code == 0, other.stderr
    assert family(run_id)[0][0]["state_name"] == "Running"
    model.change(latency=0.0)
    ran = run.wait()
    assert ran.code == 0, ran.stderr
    assert {one["state_name"] for one in family(run_id)[0]} == {"Completed"}


@pytest.mark.parametrize(("which", "runner"), STEERED)
def test_cancel_in_the_ui_ends_a_run_in_good_order(project: Project, model: SimulatedModel, which: str, runner: str) -> None:
    run, run_id = begun(project, model, runner)
    chosen = family(run_id)[0][0 if which == "the run" else 1]
    answer = api(f"flow_runs/{chosen['id']}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
    assert answer["status"] == "ACCEPT"
    ran = run.wait()
    assert ran.code == 130, ran.stderr
    assert "the same command goes on from here" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert left(run_id) == []
    flow_runs, task_runs = family(run_id)
    assert flow_runs[0]["state_name"] == "Cancelled"
    assert {one["state_name"] for one in (*flow_runs, *task_runs)} <= {"Cancelled", "Completed"}
    assert not list(project.store.glob("runs/*/alive.json"))
    assert project.report()["status"] == "interrupted"
    model.change(latency=0.0)
    again = project.run(model.url, *WORDS)
    assert again.code == 0, again.stderr
    assert model.stats()["completions"] <= CALLS + CONCURRENCY
    assert len(project.output()) == ROWS
