"""``preview`` shows what a few rows do, and what it pays for is not paid again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sdg_prefect.simulator import SimulatedModel
from tests.e2e.commands import Ran
from tests.e2e.conftest import Project
from tests.ports import free_port

pytestmark = pytest.mark.e2e


def preview(project: Project, url: str, *words: str) -> Ran:
    """Preview the flow of the project."""
    usual = ("preview", "flow.yaml", "--input", "seeds.jsonl", "--storage", "store", "--api-base", url)
    return project.command(*usual, *words).wait()


def previewed(project: Project, url: str, *words: str) -> dict[str, Any]:
    """Preview the flow, and return what ``--json`` prints."""
    ran = preview(project, url, "--json", *words)
    assert ran.code == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


def test_a_preview_shows_the_prompts_the_replies_and_the_rows(project: Project, model: SimulatedModel) -> None:
    project.seeds(20)
    ran = preview(project, model.url, "-n", "2")
    assert ran.code == 0, ran.stderr
    assert "ask (LLMBlock): 2 rows in, 2 out" in ran.stdout
    assert "Island 1 has 10 wells, fed by river 11." in ran.stdout
    assert "[Start of Question]" in ran.stdout
    assert "answer = " in ran.stdout
    assert "2 rows came out; 4 calls paid for" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_run_does_not_pay_again_for_what_a_preview_has_paid(project: Project, model: SimulatedModel) -> None:
    project.seeds(5)
    rows = previewed(project, model.url, "-n", "3")["rows"]
    assert model.stats()["completions"] == 6
    ran = project.run(model.url)
    assert ran.code == 0, ran.stderr
    assert project.output()[:3] == rows
    assert model.stats()["completions"] == 10
    assert (ran.report["llm_calls"], ran.report["llm_replayed"]) == (4, 6)


def test_a_preview_does_not_wait_for_batches(project: Project, model: SimulatedModel) -> None:
    project.seeds(4)
    project.write("models.yaml", "teacher: {model: teacher, mode: batch, price: {input: 1000, output: 1000}}\n")
    model.change(batch_seconds=3600)
    ran = preview(project, model.url, "--json", "-n", "4")
    assert ran.code == 0, ran.stderr
    assert ran.stderr.splitlines() == [
        "model 'teacher' has 'mode: batch'; the preview calls it, at the price of calls, since a batch may take a day."
    ]
    assert (model.stats()["batches"], model.stats()["calls"]) == (0, 8)
    told = json.loads(ran.stdout)
    # A run in batches finds the replies, and pays for none again.
    again = project.run(model.url)
    assert (again.code, project.output(), model.stats()["batches"]) == (0, told["rows"], 0)
    project.write("models.yaml", "teacher: {model: teacher, price: {input: 1000, output: 1000}}\n")
    assert project.run(model.url, "--fresh").report["cost_usd"] == pytest.approx(told["cost_usd"])


def test_a_preview_of_what_is_paid_for_calls_nobody(project: Project, model: SimulatedModel) -> None:
    project.seeds(4)
    assert project.run(model.url).code == 0
    told = previewed(project, model.url, "-n", "2")
    assert (told["llm_calls"], told["llm_replayed"]) == (0, 4)
    assert told["rows"] == project.output()[:2]
    assert all(exchange["is_replayed"] for step in told["steps"] for exchange in step["exchanges"])


def test_a_preview_says_which_rows_are_rejected_and_why(project: Project, model: SimulatedModel) -> None:
    project.seeds(4)
    model.change(malformed_share=1.0)
    ran = preview(project, model.url, "-n", "2")
    assert ran.code == 1
    assert "ask (LLMBlock): 2 rows in, 0 out, 2 rejected" in ran.stdout
    assert "rejected NothingParsed" in ran.stdout


def test_a_preview_finds_mistakes_before_the_first_call(project: Project, model: SimulatedModel) -> None:
    project.seeds(2)
    project.write("ask.yaml", (project.folder / "ask.yaml").read_text("utf-8").replace("{{document}}", "{{documnet}}"))
    ran = preview(project, model.url)
    assert ran.code == 2
    assert "documnet" in ran.stderr
    assert model.stats()["completions"] == 0


def test_a_preview_without_its_endpoint_ends_in_one_line(project: Project) -> None:
    project.seeds(2)
    ran = preview(project, f"http://127.0.0.1:{free_port()}/v1")
    assert ran.code == 1
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "Traceback" not in ran.stderr
