"""Runs whose requests go to the provider in batches: the same rows for half the price, whatever becomes of the run meanwhile."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.commands import Started
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

PRICE = "price: {input: 1000, output: 1000}"
BATCHES = f"teacher: {{model: teacher, mode: batch, {PRICE}}}\n"
CALLS = f"teacher: {{model: teacher, {PRICE}}}\n"
WAITS = {"SDG_PREFECT_BATCH_QUIET": "3", "SDG_PREFECT_BATCH_POLL": "0.1", "SDG_PREFECT_BATCH_POLL_MAX": "0.3"}


def counts(model: SimulatedModel) -> tuple[int, int, int]:
    stats = model.stats()
    return stats["batches"], stats["batch_requests"], stats["calls"]


def record_with_id(store: Path) -> bool:
    """Say whether a run has written down that its batch is with the provider."""
    return any(json.loads(file.read_text("utf-8"))["id"] for file in store.glob("batches/*/[!.]*.json"))


def at_the_provider(project: Project, model: SimulatedModel) -> Started:
    """Start a run, and wait until its batch is with the provider."""
    project.seeds(40)
    project.write("models.yaml", BATCHES)
    model.change(batch_seconds=3600)
    run = project.start(model.url, "--shard-size", "5", **WAITS)
    run.wait_for(lambda: record_with_id(project.store), "the submission of a batch")
    assert counts(model) == (1, 40, 0)
    return run


def test_batches_give_the_rows_of_calls_at_half_the_price(project: Project, model: SimulatedModel) -> None:
    project.seeds(100)
    project.write("models.yaml", CALLS)
    calls = project.run(model.url, "--storage", "elsewhere")
    expected = project.output()
    assert counts(model) == (0, 0, 200)
    project.write("models.yaml", BATCHES)
    model.change(batch_seconds=1)
    # More shards than are at work at once where a model is called: what they ask for goes in one batch all the same.
    ran = project.run(model.url, "--shard-size", "1", **WAITS)
    assert (ran.code, project.output()) == (0, expected)
    assert counts(model) == (2, 200, 200)
    assert (ran.report["llm_calls"], ran.report["llm_replayed"]) == (200, 0)
    assert ran.report["cost_usd"] == pytest.approx(calls.report["cost_usd"] / 2)
    assert ran.report["tokens_out"] == calls.report["tokens_out"]
    assert ran.report["endpoints"] == [{"model": "teacher", "endpoint": model.url, "calls": 200, "answers": 200}]
    assert ran.stderr.count(": 100 requests submitted; the provider has a day to answer them") == 2
    assert ran.stderr.count(": completed, 100 replies collected") == 2
    assert not list(project.store.glob("batches/*/*"))

    project.write("models.yaml", CALLS)
    again = project.run(model.url, "--shard-size", "1")
    assert (again.report["llm_calls"], counts(model)) == (0, (2, 200, 200))


def test_a_batch_of_a_run_that_was_killed_is_collected_by_the_same_command(project: Project, model: SimulatedModel) -> None:
    run = at_the_provider(project, model)
    run.send(signal.SIGKILL)
    run.wait()
    model.change(batch_seconds=0)
    last = project.run(model.url, "--shard-size", "5", **WAITS)
    assert (last.code, len(project.output())) == (0, 40)
    # The second block's batch is another one.
    assert counts(model) == (2, 80, 0)
    assert "40 requests are with the provider since an earlier run" in last.stderr
    assert (last.report["llm_calls"], last.report["llm_replayed"]) == (80, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_what_stays_with_the_provider(
    project: Project, model: SimulatedModel, number: signal.Signals
) -> None:
    run = at_the_provider(project, model)
    run.send(number)
    first = run.wait()
    assert (first.code, first.report["status"]) == (130, "interrupted")
    assert "1 batch stays with the provider, with 40 requests. The same command goes on: it collects it" in first.stderr
    assert "Traceback" not in first.stderr
    assert record_with_id(project.store)
    model.change(batch_seconds=0)
    # Another size of shards wants the same requests.
    last = project.run(model.url, "--shard-size", "8", **WAITS)
    assert (last.code, len(project.output()), counts(model)) == (0, 40, (2, 80, 0))


def test_requests_that_fail_in_a_batch_cost_what_they_cost_in_calls(project: Project, model: SimulatedModel) -> None:
    project.seeds(30)
    model.change(refusal_share=0.2, batch_failed_share=0.2, batch_expired_share=0.1)
    project.write("models.yaml", CALLS)
    project.run(model.url, "--storage", "elsewhere", "--allow-rejects")
    expected = project.output()
    project.write("models.yaml", BATCHES)
    ran = project.run(model.url, **{**WAITS, "SDG_PREFECT_BATCH_QUIET": "0.5", "SDG_PREFECT_CALL_ATTEMPTS": "20"})
    assert (ran.code, ran.report["status"], project.output()) == (1, "completed_with_rejects", expected)
    assert {reject["error"] for reject in project.rejects()} == {"ContentFilter"}


def test_a_plan_says_that_it_goes_in_batches(project: Project, model: SimulatedModel) -> None:
    project.seeds(10)
    project.write("models.yaml", BATCHES)
    said = project.command("plan", "flow.yaml", "--input", "seeds.jsonl", "--api-base", model.url).wait().stdout
    assert "in batches at half the price" in said
    assert "10 calls in batches" in said
    assert "up to a day for the batches of ask, reply" in said
    project.write("models.yaml", "teacher: {model: openai/gpt-4o-mini, mode: batch}\n")
    ran = project.command("plan", "flow.yaml").wait()
    assert ran.code == 2
    assert "model 'teacher' has 'mode: batch', but is called through litellm." in ran.stderr
    several = "[{api_base: 'http://one/v1'}, {api_base: 'http://two/v1'}]"
    project.write("models.yaml", f"teacher: {{model: m, mode: batch, endpoints: {several}}}\n")
    ran = project.command("check", "flow.yaml").wait()
    assert ran.code == 2
    assert "models.yaml:1  model 'teacher': 'mode: batch' takes one endpoint" in ran.stderr


def test_the_simulated_model_of_a_run_takes_batches(project: Project) -> None:
    project.seeds(4)
    project.write("models.yaml", "teacher: {model: simulated/teacher, mode: batch}\n")
    usual = ("run", "flow.yaml", "--input", "seeds.jsonl", "--output", "out.jsonl", "--storage", "store", "--json")
    ran = project.command(*usual, **{**WAITS, "SDG_PREFECT_BATCH_QUIET": "0.5"}).wait()
    assert (ran.code, ran.report["llm_calls"], len(project.output())) == (0, 8, 4)
