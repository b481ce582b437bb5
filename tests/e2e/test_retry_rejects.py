"""Rows that were rejected are asked for again, they alone, and come into the output in their places."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sdg_prefect.simulator import SimulatedModel

if TYPE_CHECKING:
    from tests.e2e.conftest import Project, Row

pytestmark = pytest.mark.e2e

ROWS = 30


def rejected(project: Project, model: SimulatedModel) -> int:
    """Run with a model that often answers beside the point, and return how many rows that cost."""
    model.change(malformed_share=0.3)
    rows = project.generate(project.documents(ROWS), model.url, shard_size=5, allow_rejects=True)
    model.change(malformed_share=0.0)
    assert 0 < len(rows) < ROWS
    return ROWS - len(rows)


def again(project: Project, model: SimulatedModel, **options: bool) -> tuple[int, list[Row]]:
    """Run once more; return what it paid for and its rows."""
    before = model.stats()["completions"]
    rows = project.generate(project.documents(ROWS), model.url, shard_size=5, allow_rejects=True, **options)
    return model.stats()["completions"] - before, rows


def test_a_second_run_leaves_rejected_rows_alone(project: Project, model: SimulatedModel) -> None:
    lost = rejected(project, model)
    calls, rows = again(project, model)
    assert (calls, len(rows)) == (0, ROWS - lost)


def test_retried_rows_stand_in_their_places_and_nothing_else_is_paid(project: Project, model: SimulatedModel) -> None:
    expected = project.generate(project.documents(ROWS), model.url, storage=project.folder / "elsewhere")
    lost = rejected(project, model)
    first = project.report()["blocks"][0]["rejected"]
    calls, rows = again(project, model, retry_rejects=True)
    assert rows == expected
    # A row that the first block rejected has not met the second one yet.
    assert calls == lost + first
    assert project.report()["rows_rejected"] == 0
    assert again(project, model) == (0, expected)
    assert again(project, model, retry_rejects=True) == (0, expected)


def test_rows_that_fail_again_stay_rejected_and_can_be_retried_again(project: Project, model: SimulatedModel) -> None:
    lost = rejected(project, model)
    model.change(malformed_share=1.0)
    calls, rows = again(project, model, retry_rejects=True)
    assert (calls, len(rows)) == (lost, ROWS - lost)
    model.change(malformed_share=0.0)
    calls, rows = again(project, model, retry_rejects=True)
    assert len(rows) == ROWS
    assert calls >= lost


def test_a_reject_tells_what_it_has_cost(project: Project, model: SimulatedModel) -> None:
    price = "teacher: {model: openai/teacher, price: {input: 100, output: 200}}\n"
    project.write("models.yaml", price)
    rejected(project, model)
    rejects = project.rejects()
    assert all(reject["cost_usd"] > 0 and reject["raw"] for reject in rejects)
    again(project, model)
    assert [reject["cost_usd"] for reject in project.rejects()] == [reject["cost_usd"] for reject in rejects]


def test_the_command_line_retries_too(project: Project, model: SimulatedModel) -> None:
    project.seeds(ROWS)
    model.change(malformed_share=0.3)
    assert project.run(model.url).code == 1
    model.change(malformed_share=0.0)
    assert project.run(model.url).code == 1
    ran = project.run(model.url, "--retry-rejects")
    assert ran.code == 0, ran.stderr
    assert len(project.output()) == ROWS
