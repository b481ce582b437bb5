"""Which Prefect server shows a run: the user's, the managed one where that is out of reach, and what happens when it dies."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.simulator import SimulatedModel
from tests.e2e.history import History, states
from tests.e2e.servers import another_server, give_database, is_answering
from tests.ports import free_port

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e


@pytest.mark.timeout(600)
def test_a_server_of_the_users_gets_the_run_and_no_other_is_started(
    project: Project, model: SimulatedModel, history: History
) -> None:
    project.seeds(2)
    home = project.folder / "home"
    with another_server(project.folder / "prefect") as api_url:
        project.wait_for(lambda: is_answering(api_url), "the server's start")
        ran = project.run(model.url, PREFECT_API_URL=api_url, SDG_PREFECT_HOME=str(home))
        assert ran.code == 0, ran.stderr
        theirs = History(api_url)
        assert states(theirs.family(theirs.run(ran.report))) == {("COMPLETED", "Completed")}
        assert len(theirs.all_tasks(ran.report)) == 2
    assert not (home / "server.json").exists()


def test_a_server_out_of_reach_is_told_and_the_run_goes_on_with_the_managed_one(
    project: Project, model: SimulatedModel, history: History
) -> None:
    project.seeds(2)
    ran = project.run(model.url, PREFECT_API_URL=f"http://127.0.0.1:{free_port()}/api")
    assert ran.code == 0, ran.stderr
    (line,) = [line for line in ran.stderr.splitlines() if "PREFECT_API_URL" in line]
    assert "no Prefect server answers" in line
    assert "The run goes on with a local server." in line
    assert states(history.family(history.run(ran.report))) == {("COMPLETED", "Completed")}


def test_a_server_that_dies_in_the_middle_of_a_run_does_not_stop_it(
    project: Project, model: SimulatedModel, history: History
) -> None:
    seeds = project.documents(12)
    expected = project.generate(seeds, model.url, storage=project.folder / "elsewhere")
    paid = model.stats()["completions"]
    model.change(latency=0.5)
    project.seeds(seeds)
    home = project.folder / "home"
    give_database(home / "prefect")
    own = {"SDG_PREFECT_HOME": str(home), "SDG_PREFECT_SERVER_PORT": str(free_port())}
    run = project.start(model.url, "--shard-size", "2", "--concurrency", "4", **own)
    try:
        run.wait_for(lambda: model.stats()["completions"] >= paid + 6, "the sixth reply")
        first = address(home)
        os.kill(first["pid"], signal.SIGKILL)
        ran = run.wait()
        second = address(home)
    finally:
        project.command("server", "stop", **own).wait()
    assert ran.code == 0, ran.stderr
    assert project.output() == expected
    assert ran.report["llm_calls"] == 24
    assert "Traceback" not in ran.stderr
    assert "has died and is started again" in ran.stderr
    assert (second["port"], second["pid"] != first["pid"]) == (first["port"], True)


def address(home: Path) -> dict[str, Any]:
    """Return where the managed server of a home is."""
    found: dict[str, Any] = json.loads((home / "server.json").read_text("utf-8"))
    return found
