"""A run that is stopped, softly or not at all softly: the same command goes on from there."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from sdg_prefect.engine import server
from sdg_prefect.simulator import SimulatedModel

if TYPE_CHECKING:
    from tests.e2e.conftest import Project, Ran, Row

pytestmark = pytest.mark.e2e

ROWS = 12
CALLS = 2 * ROWS
CONCURRENCY = 4
WORDS = ("--shard-size", "3", "--concurrency", str(CONCURRENCY))


def stopped_in_the_middle(project: Project, model: SimulatedModel, number: signal.Signals) -> Ran:
    """Start a run, stop it by a signal after some replies, and let the model be quick from then on."""
    project.seeds(ROWS)
    model.change(latency=0.2)
    before = model.stats()["completions"]
    run = project.start(model.url, *WORDS)
    run.wait_for(lambda: model.stats()["completions"] >= before + 6, "the sixth reply")
    run.send(number)
    ran = run.wait()
    assert 6 <= model.stats()["completions"] - before < CALLS
    assert not (project.folder / "out.jsonl").exists()
    model.change(latency=0.0)
    return ran


def expected_rows(project: Project, model: SimulatedModel) -> list[Row]:
    """Return the rows of a run that nobody stops."""
    rows = project.generate(project.documents(ROWS), model.url, storage=project.folder / "elsewhere")
    assert len(rows) == ROWS
    return rows


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on_and_does(project: Project, model: SimulatedModel, number: signal.Signals) -> None:
    expected = expected_rows(project, model)
    before = model.stats()["completions"]
    stopped = stopped_in_the_middle(project, model, number)
    assert stopped.code == 130
    assert "the same command goes on from here" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert project.report()["status"] == "interrupted"
    assert_nothing_runs(project)
    assert project.generate(str(project.folder / "seeds.jsonl"), model.url, shard_size=3) == expected
    assert model.stats()["completions"] - before <= CALLS + CONCURRENCY
    assert project.report()["llm_calls"] + project.report()["llm_replayed"] == CALLS


def assert_nothing_runs(project: Project) -> None:
    """Check that Prefect shows neither the run, nor its pipelines, nor their shards as running."""
    managed = server.status()
    assert managed is not None

    def find(kind: str, by: str, value: str) -> list[dict[str, Any]]:
        asked = {kind: {by: {"any_": [value]}}}
        found: list[dict[str, Any]] = httpx.post(f"{managed.api_url}/{kind}/filter", json=asked, timeout=30).json()
        return found

    def left() -> list[str]:
        (whole,) = find("flow_runs", "name", f"small {project.report()['run_id']}")
        runs = [whole, *find("flow_runs", "parent_flow_run_id", whole["id"])]
        runs += [task for run in list(runs) for task in find("task_runs", "flow_run_id", run["id"])]
        return [f"{run['name']} {run['state_type']}" for run in runs if run["state_type"] in {"PENDING", "RUNNING"}]

    project.wait_for(lambda: not left(), "the end of every run", 20)


def test_a_killed_run_pays_again_only_for_what_was_in_flight(project: Project, model: SimulatedModel) -> None:
    expected = expected_rows(project, model)
    before = model.stats()["completions"]
    assert stopped_in_the_middle(project, model, signal.SIGKILL).code == -signal.SIGKILL
    again = project.run(model.url, *WORDS)
    assert again.code == 0, again.stderr
    assert project.output() == expected
    assert model.stats()["completions"] - before <= CALLS + CONCURRENCY
    assert again.report["llm_calls"] + again.report["llm_replayed"] == CALLS
