"""Runs with a budget: they stop in good order when it is used up, and go on with a higher one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.errors import BudgetReached, FlowError

if TYPE_CHECKING:
    from pathlib import Path

    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

PRICED = "teacher: {model: teacher, price: {input: 1000, output: 1000}}\n"


def test_a_run_stops_at_its_budget_and_goes_on_with_a_higher_one(project: Project, model: SimulatedModel) -> None:
    project.seeds(20)
    project.write("models.yaml", PRICED)
    expected = project.generate(project.documents(20), model.url, storage=project.folder / "elsewhere")
    whole = _cost_of_the_run_in(project.folder / "elsewhere")
    before = model.stats()["completions"]
    model.change(latency=0.05)
    words = ("--shard-size", "5", "--concurrency", "4")
    first = project.run(model.url, "--budget", str(whole / 2), *words)
    report = first.report
    assert (first.code, report["status"], first.stdout.count("\n")) == (1, "stopped_by_budget", 1)
    assert "Traceback" not in first.stderr
    assert f"the budget of ${whole / 2:,.2f} is used up: " in first.stderr
    assert "To go on, raise the budget and give the same command" in first.stderr
    assert "is used up" in report["error"]
    paid = model.stats()["completions"] - before
    assert report["llm_calls"] == paid
    assert whole / 2 <= report["cost_usd"] == report["budget"]["spent_usd"] < whole / 2 + 4 * whole / 40 * 2
    assert not (project.folder / "out.jsonl").exists()

    again = project.run(model.url, "--budget", str(whole / 2), *words)
    assert (again.code, again.report["llm_calls"], again.report["status"]) == (1, 0, "stopped_by_budget")

    last = project.run(model.url, "--budget", str(whole + 0.001), *words)
    assert (last.code, last.report["status"]) == (0, "completed")
    assert model.stats()["completions"] - before == 40
    assert last.report["budget"]["spent_usd"] == pytest.approx(whole, abs=1e-4)
    assert last.report["cost_usd"] < whole
    assert last.report["cost_per_row_usd"] == pytest.approx(whole / 20, rel=1e-3)
    assert f"${whole / 20:.3g} a row" in last.stderr
    assert project.output() == expected


def _cost_of_the_run_in(store: Path) -> float:
    (file,) = store.glob("runs/*/report.json")
    cost: float = json.loads(file.read_text("utf-8"))["cost_usd"]
    return cost


def test_a_budget_of_tokens_in_the_flow_stops_a_run_from_python(project: Project, model: SimulatedModel) -> None:
    flow = project.flow.read_text("utf-8")
    project.write("flow.yaml", f"budget: {{tokens: 500}}\n{flow}")
    with pytest.raises(BudgetReached, match="500 tokens is used up"):
        project.generate(project.documents(20), model.url)
    report = project.report()
    assert (report["status"], report["budget"]["tokens"]) == ("stopped_by_budget", 500)
    assert 500 <= report["tokens_in"] + report["tokens_out"] < 1500
    assert len(project.generate(project.documents(20), model.url, fresh=True, budget_tokens=10**6)) == 20
    assert project.report()["budget"]["spent_before_tokens"] == 0


def test_a_budget_in_dollars_needs_a_price(project: Project, model: SimulatedModel) -> None:
    with pytest.raises(FlowError, match=r"the price of model 'teacher' is not known.*price: \{input: USD, output: USD\}"):
        project.generate(project.documents(2), model.url, budget=3.0)
    assert model.stats()["calls"] == 0


def test_plan_says_that_the_estimate_is_above_the_budget(project: Project, model: SimulatedModel) -> None:
    project.seeds(20)
    project.write("models.yaml", PRICED)
    usual = ("plan", "flow.yaml", "--input", "seeds.jsonl", "--storage", "store", "--api-base", model.url)
    assert "the estimate is above the budget: the run will stop" in project.command(*usual, "--budget", "0.01").wait().stdout
    assert "above the budget" not in project.command(*usual).wait().stdout
