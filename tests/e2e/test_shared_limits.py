"""Runs that share a limit keep together to it, on whatever machine they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from sdg_prefect.engine import server
from sdg_prefect.errors import EndpointError
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.servers import ask

if TYPE_CHECKING:
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

SLOTS = 6


class Limit:
    """A global concurrency limit of the Prefect server that all tests share."""

    def __init__(self) -> None:
        managed = server.begin_managed()
        server.wait_until_ready(managed)
        self.name = f"limit-{uuid4().hex[:8]}"
        self.url = f"{managed.api_url}/v2/concurrency_limits/"
        ask("POST", self.url, json={"name": self.name, "limit": SLOTS})

    @property
    def taken(self) -> int:
        """Slots that somebody holds."""
        told: dict[str, Any] = ask("GET", self.url + self.name).json()
        return int(told["active_slots"])


@pytest.fixture
def limit(project: Project) -> Iterator[Limit]:
    made = Limit()
    project.write("models.yaml", f"teacher: {{model: teacher, shared_limit: {made.name}}}\n")
    yield made
    ask("DELETE", made.url + made.name)


def test_two_runs_keep_together_to_one_limit(project: Project, model: SimulatedModel, limit: Limit) -> None:
    model.change(latency=0.05)
    project.seeds(60)
    words = ("--concurrency", "16", "--shard-size", "10")
    runs = [project.start(model.url, *words, "--storage", f"store-{n}", "--output", f"out-{n}.jsonl") for n in (1, 2)]
    most = 0
    while any(run.poll() is None for run in runs):
        most = max(most, limit.taken)
        time.sleep(0.1)
    ended = [run.wait() for run in runs]
    assert [ran.code for ran in ended] == [0, 0], ended
    assert 1 < model.stats()["peak_in_flight"] <= SLOTS
    assert 1 < most <= SLOTS
    assert limit.taken == 0
    assert [len(project.output(f"out-{n}.jsonl")) for n in (1, 2)] == [60, 60]


def test_slots_that_another_run_holds_are_waited_for(project: Project, model: SimulatedModel, limit: Limit) -> None:
    project.seeds(4)
    url = f"{limit.url}increment-with-lease"
    taken = ask("POST", url, json={"names": [limit.name], "slots": SLOTS, "lease_duration": 600})
    run = project.start(model.url)
    project.wait_for(
        lambda: any((project.store / "checkpoints").glob("*")) or any(project.store.glob("runs/*")), "the run's begin"
    )
    time.sleep(2)
    assert model.stats()["calls"] == 0
    body = {"lease_id": taken.json()["lease_id"]}
    ask("POST", f"{limit.url}decrement-with-lease", json=body)
    assert run.wait().code == 0
    assert len(project.output()) == 4


def test_a_limit_that_the_server_does_not_have_is_told_before_a_call(project: Project, model: SimulatedModel) -> None:
    project.write("models.yaml", "teacher: {model: teacher, shared_limit: nobodys}\n")
    with pytest.raises(EndpointError, match=r"no global concurrency limit 'nobodys'.*prefect gcl create nobodys --limit"):
        project.generate(project.documents(2), model.url)
    assert model.stats()["calls"] == 0
