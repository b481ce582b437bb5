"""Two runs at once on one store: each shard is paid for once, whoever works on it, and whoever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.simulator import SimulatedModel

if TYPE_CHECKING:
    from tests.e2e.commands import Started
    from tests.e2e.conftest import Project, Row
    from tests.s3 import S3Server

pytestmark = pytest.mark.e2e

ROWS = 12
CALLS = 2 * ROWS
CONCURRENCY = 4
WORDS = ("--shard-size", "3", "--concurrency", str(CONCURRENCY))


@dataclass(frozen=True)
class Store:
    """Where both runs keep their work."""

    place: str
    s3: S3Server | None = None

    @property
    def variables(self) -> Mapping[str, str]:
        """What leads a run there."""
        return self.s3.environment if self.s3 else {}

    def files(self, folder: str) -> list[str]:
        """Return what is in a folder of it."""
        if self.s3 is None:
            return sorted(str(path.name) for path in Path(self.place, folder).rglob("*") if path.is_file())
        return sorted(path.rsplit("/", 1)[-1] for path in self.s3.client.find(f"{self.place}/{folder}"))


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest, project: Project) -> Store:
    """A store of each kind."""
    if request.param == "local":
        return Store(str(project.store))
    s3: S3Server = request.getfixturevalue("s3_server")
    return Store(f"s3://{s3.new_bucket()}/store", s3)


def start(project: Project, model: SimulatedModel, store: Store, output: str) -> Started:
    """Start a run of its own output on the shared store."""
    return project.start(model.url, *WORDS, "--output", output, "--storage", store.place, **store.variables)


def expected_rows(project: Project, model: SimulatedModel) -> list[Row]:
    """Return the rows of a run that is alone."""
    project.seeds(ROWS)
    rows = project.generate(project.documents(ROWS), model.url, storage=project.folder / "elsewhere")
    assert len(rows) == ROWS
    return rows


def test_two_runs_at_once_pay_as_much_as_one(project: Project, model: SimulatedModel, store: Store) -> None:
    expected = expected_rows(project, model)
    before = model.stats()["completions"]
    model.change(latency=0.3)
    runs = [start(project, model, store, f"{name}.jsonl") for name in ("one", "two")]
    ended = [run.wait() for run in runs]
    # Whole, where an assertion would cut it short.
    print(*(ran.stderr for ran in ended), sep="\n")
    assert [ran.code for ran in ended] == [0, 0]
    assert project.output("one.jsonl") == project.output("two.jsonl") == expected
    assert model.stats()["completions"] - before == CALLS
    reports = [ran.report for ran in ended]
    assert sum(report["llm_calls"] for report in reports) == CALLS
    assert {report["llm_calls"] + report["llm_replayed"] for report in reports} == {CALLS}
    assert store.files("claims") == (["locks"] if store.place == str(project.store) else [])
    assert "alive.json" not in store.files("runs")


def test_when_one_of_two_runs_is_killed_the_other_takes_over(project: Project, model: SimulatedModel, store: Store) -> None:
    expected = expected_rows(project, model)
    before = model.stats()["completions"]
    model.change(latency=3.0)
    killed, other = (start(project, model, store, f"{name}.jsonl") for name in ("one", "two"))
    killed.wait_for(lambda: store.files("runs").count("alive.json") == 2, "the beginning of both runs")
    killed.wait_for(lambda: model.stats()["completions"] >= before + 2, "the second reply")
    killed.send(signal.SIGKILL)
    assert killed.wait().code == -signal.SIGKILL
    model.change(latency=0.0)
    ran = other.wait()
    assert ran.code == 0, ran.stderr
    assert project.output("two.jsonl") == expected
    # What was in flight when the first run died is asked again; what it had received is not.
    assert model.stats()["completions"] - before <= CALLS + CONCURRENCY
    assert ran.report["llm_calls"] + ran.report["llm_replayed"] == CALLS


def test_two_runs_in_one_process_pay_as_much_as_one(project: Project, model: SimulatedModel) -> None:
    expected = expected_rows(project, model)
    before = model.stats()["completions"]
    model.change(latency=0.2)

    def run(_number: int) -> list[Row]:
        return project.generate(project.documents(ROWS), model.url, shard_size=3, concurrency=CONCURRENCY)

    with ThreadPoolExecutor() as threads:
        assert list(threads.map(run, range(2))) == [expected, expected]
    assert model.stats()["completions"] - before == CALLS


def test_a_replay_of_what_another_run_has_made_waits_for_nobody(project: Project, model: SimulatedModel, store: Store) -> None:
    project.seeds(ROWS)
    assert start(project, model, store, "one.jsonl").wait().code == 0
    paid = model.stats()["completions"]
    ran = start(project, model, store, "two.jsonl").wait()
    assert ran.code == 0, ran.stderr
    assert "another run" not in ran.stderr
    assert model.stats()["completions"] == paid
    assert os.path.getsize(project.folder / "two.jsonl") == os.path.getsize(project.folder / "one.jsonl")
