"""Endpoints that fail, and what that costs: no row is lost, none is paid twice, and the user is told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.errors import EndpointError, SdgError
from sdg_prefect.settings import settings
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings
from tests.e2e.conftest import beside

if TYPE_CHECKING:
    from tests.e2e.conftest import Project, Row

pytestmark = pytest.mark.e2e

MALFORMED = "Sorry, I started on this"


@pytest.fixture(params=["openai", pytest.param("litellm", marks=pytest.mark.long)])
def client(request: pytest.FixtureRequest, project: Project) -> str:
    """Each client that speaks the OpenAI protocol, named in the project's models.yaml; without it the first is taken."""
    name: str = request.param
    project.write("models.yaml", f"teacher: {{model: teacher, client: {name}}}\n")
    return name


both_clients = pytest.mark.usefixtures("client")


def undisturbed(project: Project, model: SimulatedModel, seeds: list[Row]) -> list[Row]:
    """Return the rows of a run in which nothing goes wrong, and forget that there was one."""
    rows = project.generate(seeds, model.url, storage=project.folder / "elsewhere")
    assert len(rows) == len(seeds)
    return rows


def paid(model: SimulatedModel, work: Callable[[], Any]) -> int:
    """Return how many completions a piece of work has cost."""
    before: int = model.stats()["completions"]
    work()
    return int(model.stats()["completions"]) - before


def assert_every_row_is_accounted_for(report: dict[str, Any]) -> None:
    """Check the law, for blocks that give one row for a row or none."""
    for part in (report, *report["blocks"]):
        prefix = "rows_" if part is report else ""
        left = sum(part[f"{prefix}{what}"] for what in ("filtered", "deduplicated", "rejected"))
        assert part["rows_in"] == part["rows_out"] + left


def test_passing_faults_cost_time_and_no_row(project: Project, model: SimulatedModel, client: str) -> None:
    seeds = project.documents(40)
    expected = undisturbed(project, model, seeds)
    project.write("models.yaml", f"teacher: {{model: teacher, timeout: 1.0, client: {client}}}\n")
    model.change(
        error_429_share=0.1,
        retry_after=0.05,
        error_5xx_share=0.1,
        timeout_share=0.02,
        broken_json_share=0.05,
        latency_jitter=0.02,
    )
    before = model.stats()["by_status"]
    rows = project.generate(seeds, model.url, shard_size=8)
    assert rows == expected
    seen = Counter(model.stats()["by_status"]) - Counter(before)
    assert {"200", "429", "499"} < set(seen)
    assert {"500", "502", "503"} & set(seen)
    report = project.report()
    assert (report["status"], report["llm_calls"], report["rows_rejected"]) == ("completed", 80, 0)


def test_replies_that_cannot_be_parsed_are_rejected_with_their_text(project: Project, model: SimulatedModel) -> None:
    project.seeds(20)
    model.change(malformed_share=0.3)
    ran = project.run(model.url)
    assert ran.code == 1
    assert "Traceback" not in ran.stderr
    report = ran.report
    assert report["status"] == "completed_with_rejects"
    assert 0 < report["rows_rejected"] == 20 - report["rows_out"]
    assert_every_row_is_accounted_for(report)
    rejects = project.rejects()
    assert len(rejects) == report["rows_rejected"]
    assert {reject["error"] for reject in rejects} == {"NothingParsed"}
    assert all(reject["raw"].startswith(MALFORMED) for reject in rejects)
    assert {reject["block"] for reject in rejects} == {"ask", "reply"}
    rows = project.generate(str(project.folder / "seeds.jsonl"), model.url, allow_rejects=True)
    assert rows == project.output()
    assert (project.report()["status"], project.report()["llm_calls"]) == ("completed_with_rejects", 0)
    assert project.report()["rows_rejected"] == report["rows_rejected"]


@both_clients
def test_a_refused_prompt_rejects_its_row_only(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(20)
    expected = undisturbed(project, model, seeds)
    model.change(refusal_share=0.2)
    rows = project.generate(seeds, model.url, allow_rejects=True)
    rejects = project.rejects()
    assert {reject["error"] for reject in rejects} == {"ContentFilter"}
    assert {reject["attempts"] for reject in rejects} == {1}
    assert 0 < len(rejects) == 20 - len(rows)
    assert [row for row in expected if row in rows] == rows
    assert_every_row_is_accounted_for(project.report())


@both_clients
def test_a_prompt_that_is_too_long_rejects_its_row_only(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(5)
    seeds[2]["document"] = "wells and rivers " * 400
    model.change(context_window=500)
    rows = project.generate(seeds, model.url, allow_rejects=True)
    assert [row["document"] for row in rows] == [seeds[place]["document"] for place in (0, 1, 3, 4)]
    (reject,) = project.rejects()
    assert (reject["error"], reject["block"], reject["attempts"]) == ("ContextWindowExceeded", "ask", 1)
    assert "wells and rivers" in reject["row"]
    assert_every_row_is_accounted_for(project.report())


@both_clients
def test_rows_that_failed_for_a_passing_reason_are_tried_again_by_the_next_run(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(4)
    expected = undisturbed(project, model, seeds)
    model.change(error_5xx_share=1.0)
    assert project.generate(seeds, model.url, allow_rejects=True) == []
    assert {(reject["error"], reject["transient"]) for reject in project.rejects()} == {("ServerError", True)}
    model.change(error_5xx_share=0.0)
    assert project.generate(seeds, model.url) == expected
    assert project.report()["status"] == "completed"


@both_clients
def test_a_quota_used_up_in_the_middle_keeps_what_was_paid(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(12)
    expected = undisturbed(project, model, seeds)
    output = project.write("out.jsonl", "kept\n")
    model.change(quota=model.stats()["calls"] + 10)

    def run_out() -> None:
        with pytest.raises(EndpointError, match=r"QuotaUsedUp.*Top up the account"):
            project.generate(seeds, model.url, shard_size=3, concurrency=2, output=str(output))

    assert paid(model, run_out) == 10
    assert output.read_text("utf-8") == "kept\n"
    assert project.report()["status"] == "failed"
    model.change(quota=None)
    rows: list[Row] = []
    assert paid(model, lambda: rows.extend(project.generate(seeds, model.url, shard_size=3, output=str(output)))) == 14
    assert rows == project.output() == expected
    assert (project.report()["llm_calls"], project.report()["llm_replayed"]) == (14, 10)


@both_clients
def test_a_key_revoked_in_the_middle_stops_the_run_at_once(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "old")
    model.change(api_key="old", latency=0.05)
    seeds = project.documents(20)

    def revoke() -> None:
        project.wait_for(lambda: model.stats()["completions"] >= 6, "the sixth reply")
        model.change(api_key="new")

    with beside(revoke), pytest.raises(EndpointError, match="WrongKey"):
        project.generate(seeds, model.url, shard_size=5, concurrency=4)
    assert model.stats()["by_status"]["401"] <= 4
    kept = model.stats()["completions"]
    monkeypatch.setenv("OPENAI_API_KEY", "new")
    assert len(project.generate(seeds, model.url, shard_size=5)) == 20
    assert model.stats()["completions"] == 40
    assert project.report()["llm_replayed"] == kept


@pytest.mark.parametrize("limit", ["of the run", "of the endpoint", "of both"])
def test_no_more_calls_are_open_than_the_limit_says(project: Project, model: SimulatedModel, limit: str) -> None:
    model.change(latency=0.03, latency_jitter=0.02)
    if limit != "of the run":
        project.write("models.yaml", f"teacher: {{model: teacher, max_concurrency: {3 if limit == 'of the endpoint' else 50}}}\n")
    project.generate(project.documents(20), model.url, shard_size=2, concurrency=None if limit == "of the endpoint" else 3)
    assert model.stats()["peak_in_flight"] == 3


@both_clients
def test_an_endpoint_that_says_how_many_calls_it_takes_gets_all_rows_through(project: Project, model: SimulatedModel) -> None:
    model.change(latency=0.02, max_concurrency=4, retry_after=0.03)
    rows = project.generate(project.documents(16), model.url, shard_size=4, concurrency=8)
    assert len(rows) == 16
    assert model.stats()["by_status"]["429"] > 0


@both_clients
def test_an_endpoint_that_goes_away_and_comes_back_loses_no_row(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDG_PREFECT_CALL_BACKOFF", "0.5")
    settings.cache_clear()
    seeds = project.documents(16)
    expected = undisturbed(project, model, seeds)
    slow = SimulatorSettings(latency=0.1)
    with SimulatedModel(slow) as first:
        port = int(first.url.split(":")[2].split("/")[0])
        url = first.url
        ended = threading.Event()

        def go_away_and_come_back() -> None:
            project.wait_for(lambda: first.stats()["completions"] >= 6, "the sixth reply")
            first.__exit__(None, None, None)
            with SimulatedModel(slow, port=port):
                ended.wait()

        with beside(go_away_and_come_back):
            try:
                rows = project.generate(seeds, url, shard_size=4, concurrency=4)
            finally:
                ended.set()
    assert rows == expected
    assert project.report()["status"] == "completed"


@both_clients
def test_an_endpoint_that_stays_away_ends_the_run_which_goes_on_when_it_is_back(project: Project, model: SimulatedModel) -> None:
    seeds = project.documents(16)
    expected = undisturbed(project, model, seeds)
    with SimulatedModel(SimulatorSettings(latency=0.05)) as first:
        port = int(first.url.split(":")[2].split("/")[0])

        def go_away() -> None:
            project.wait_for(lambda: first.stats()["completions"] >= 6, "the sixth reply")
            first.__exit__(None, None, None)

        with beside(go_away), pytest.raises(SdgError, match=r"is gone.*The same command goes on from here when it is back"):
            project.generate(seeds, first.url, shard_size=4, concurrency=4)
        kept = first.stats()["completions"]
    with SimulatedModel(port=port) as second:
        assert project.generate(seeds, second.url, shard_size=4) == expected
        assert second.stats()["completions"] <= 32 - kept + 4
