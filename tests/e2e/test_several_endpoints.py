"""Several servers for one model: what a run does when one of them, or all, go away."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.errors import EndpointError
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.e2e.conftest import beside

if TYPE_CHECKING:
    from tests.e2e.conftest import Project, Row

pytestmark = pytest.mark.e2e

AT_ONCE = 4


def serve_at(project: Project, *models: SimulatedModel, client: str = "auto") -> None:
    endpoints = "".join(f"    - {{api_base: '{model.url}', max_concurrency: {AT_ONCE}}}\n" for model in models)
    project.write("models.yaml", f"teacher:\n  model: openai/teacher\n  client: {client}\n  endpoints:\n{endpoints}")


def undisturbed(project: Project, seeds: list[Row]) -> list[Row]:
    """Return the rows of a run in which nothing goes wrong, on a store of its own."""
    with SimulatedModel() as model:
        serve_at(project, model)
        return project.generate(seeds, None, storage=project.folder / "elsewhere")


def at_endpoints(report: dict[str, Any], what: str) -> dict[str, int]:
    return {line["endpoint"]: line[what] for line in report["endpoints"]}


def without(model: SimulatedModel, project: Project, completions: int) -> Callable[[], None]:
    """Return what ends a server once it has answered so often."""

    def end() -> None:
        project.wait_for(lambda: model.stats()["completions"] >= completions, f"reply {completions}")
        model.__exit__(None, None, None)

    return end


@pytest.mark.parametrize("client", ["openai", pytest.param("litellm", marks=pytest.mark.long)])
def test_a_server_that_ends_in_the_middle_costs_no_row_and_what_it_had_in_flight_at_most(project: Project, client: str) -> None:
    seeds = project.documents(60)
    expected = undisturbed(project, seeds)
    slow = SimulatorSettings(latency=0.05)
    with SimulatedModel(slow) as one, SimulatedModel(slow) as other:
        serve_at(project, one, other, client=client)
        with beside(without(one, project, 15)):
            rows = project.generate(seeds, None, shard_size=20)
        done = [model.stats()["completions"] for model in (one, other)]
        calls = sum(model.stats()["calls"] for model in (one, other))
    assert rows == expected
    report = project.report()
    assert (report["status"], report["rows_rejected"], report["llm_calls"]) == ("completed", 0, 120)
    assert [block["llm_calls"] for block in report["blocks"]] == [60, 60]
    assert 120 <= sum(done) <= calls <= 120 + AT_ONCE
    assert sum(at_endpoints(report, "answers").values()) == 120
    assert at_endpoints(report, "answers")[other.url] == done[1]


@pytest.mark.long
def test_a_run_whose_servers_all_end_stops_soon_keeps_all_and_goes_on(project: Project) -> None:
    seeds = project.documents(300)
    project.seeds(seeds)
    expected = undisturbed(project, seeds)
    slow = SimulatorSettings(latency=0.02)
    words = (
        "run",
        "flow.yaml",
        "--input",
        "seeds.jsonl",
        "--output",
        "out.jsonl",
        "--storage",
        "store",
        "--json",
        "--shard-size",
        "50",
    )
    with SimulatedModel(slow) as one, SimulatedModel(slow) as other:
        serve_at(project, one, other)
        running = project.command(*words)
        without(one, project, 20)()
        without(other, project, 40)()
        ran = running.wait()
        kept = one.stats()["completions"] + other.stats()["completions"]
    assert ran.code == 1
    assert "none of the 2 endpoints of model 'teacher' can be called" in ran.stderr
    assert f"endpoint {one.url} of model 'teacher' is out" in ran.stderr
    assert "Traceback" not in ran.stderr
    report = project.report()
    assert report["status"] == "failed"
    assert sum(at_endpoints(report, "calls").values()) <= kept + 2 * (16 * 5 + AT_ONCE + 4 * 8)
    with SimulatedModel() as another:
        serve_at(project, another)
        ran = project.command(*words).wait()
        assert (ran.code, project.output()) == (0, expected)
        assert 600 - kept <= another.stats()["completions"] <= 600 - kept + 2 * AT_ONCE


def test_a_single_server_that_ends_stops_the_run_before_every_row_was_tried(project: Project) -> None:
    seeds = project.documents(300)
    expected = undisturbed(project, seeds)
    with SimulatedModel(SimulatorSettings(latency=0.02)) as model:
        serve_at(project, model)
        with beside(without(model, project, 30)), pytest.raises(EndpointError, match=r"is gone: Unreachable.*goes on from here"):
            project.generate(seeds, None, shard_size=50)
        kept = model.stats()["completions"]
    assert at_endpoints(project.report(), "calls")[model.url] <= kept + 16 * 5 + AT_ONCE + 8
    with SimulatedModel() as another:
        assert project.generate(seeds, another.url) == expected
        assert 600 - kept <= another.stats()["completions"] <= 600 - kept + AT_ONCE


def test_endpoints_added_or_removed_replay_everything(project: Project) -> None:
    seeds = project.documents(12)
    with SimulatedModel() as one, SimulatedModel() as other:
        serve_at(project, one)
        rows = project.generate(seeds, None)
        serve_at(project, one, other)
        assert project.generate(seeds, None) == rows
        assert project.generate(seeds, [one.url, other.url]) == rows
        assert (one.stats()["calls"], other.stats()["calls"]) == (24, 0)
        assert project.generate(seeds, None, fresh=True) == rows
        assert other.stats()["calls"] > 0


def test_several_addresses_on_the_command_line_share_the_calls(project: Project) -> None:
    project.seeds(30)
    slow = SimulatorSettings(latency=0.05)
    with SimulatedModel(slow) as one, SimulatedModel(slow) as other:
        ran = project.run(one.url, "--api-base", other.url, "--concurrency", "3")
        assert ran.code == 0, ran.stderr
        assert ran.report["llm_calls"] == 60 == sum(at_endpoints(ran.report, "calls").values())
        assert min(model.stats()["completions"] for model in (one, other)) >= 15
        assert [model.stats()["peak_in_flight"] for model in (one, other)] == [3, 3]
