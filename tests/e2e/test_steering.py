"""A run of the command line that somebody pauses and resumes in Prefect's UI, and what it shows meanwhile."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.simulator import SimulatedModel
from tests.e2e.test_dead_runs import CALLS, CONCURRENCY, ROWS, STEERED, api, begun, family

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e


def pause(flow_run_id: str) -> None:
    """Pause a flow run as the UI does."""
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    state = {"type": "PAUSED", "name": "Suspended", "state_details": {"pause_timeout": until, "pause_reschedule": True}}
    assert api(f"flow_runs/{flow_run_id}/set_state", {"state": state, "force": True})["status"] == "ACCEPT"


def resume(flow_run_id: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Resume a flow run as the UI does, and return the answer."""
    answer: dict[str, Any] = api(f"flow_runs/{flow_run_id}/resume", {"run_input": given} if given else {})
    return answer


def artifact(flow_run_id: str, key: str) -> str:
    """Return what an artifact of a flow run shows; nothing where it is not there."""
    which = {"flow_run_id": {"any_": [flow_run_id]}, "key": {"any_": [key]}}
    found = api("artifacts/filter", {"artifacts": which})
    return str(found[0]["data"]) if found else ""


@pytest.mark.parametrize(("which", "runner"), STEERED)
def test_a_run_that_is_paused_sends_nothing_and_goes_on_when_it_is_resumed(
    project: Project, model: SimulatedModel, which: str, runner: str
) -> None:
    run, run_id = begun(project, model, runner)
    whole, pipeline, *_ = (one["id"] for one in family(run_id)[0])
    chosen = whole if which == "the run" else pipeline
    paused_at = time.monotonic()
    pause(chosen)
    run.wait_for(lambda: "paused in the UI" in run.said(), "the pause")
    took = time.monotonic() - paused_at
    run.wait_for(lambda: not model.stats()["in_flight"], "the end of the calls in flight")
    model.change(latency=0.0)
    sent = model.stats()["calls"]
    run.wait_for(lambda: "Paused: nothing is sent" in artifact(whole, "small-progress"), "the notice")
    assert took < 30, "seconds, on a machine that is busy with other tests"
    assert model.stats()["calls"] == sent < CALLS - CONCURRENCY
    assert resume(chosen)["status"] == "ACCEPT"
    ran = run.wait()
    assert (ran.code, ran.report["status"], model.stats()["completions"]) == (0, "completed", CALLS), ran.stderr
    assert "resumed in the UI; going on" in ran.stderr
    assert len(project.output()) == ROWS
    assert {one["state_name"] for one in family(run_id)[0]} == {"Completed"}
    shown = artifact(whole, "small-progress")
    assert "## 100% done" in shown
    assert "This run has ended" in shown
