"""Prompts that begin alike: their cached tokens are reported and paid, and a mark changes nothing but the price."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import ASK

if TYPE_CHECKING:
    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

RULES = "Say only what the document says, and say it plainly. " * 80
"""960 tokens as the simulated model counts, 4,240 characters."""
PRICE = "price: {input: 1000, output: 0, cached: 100}"


@pytest.fixture
def project(project: Project) -> Project:
    project.write("ask.yaml", ASK.replace("You write questions.", RULES))
    return project


@pytest.mark.parametrize("client", ["openai", "litellm"])
def test_cached_tokens_are_in_the_report_and_in_its_cost(project: Project, model: SimulatedModel, client: str) -> None:
    model.change(prompt_cache_tokens=512)
    project.write("models.yaml", f"teacher: {{model: teacher, client: {client}, {PRICE}}}\n")
    project.seeds(20)
    ran = project.run(model.url)
    report, (ask, reply) = ran.report, ran.report["blocks"]
    assert (ran.code, ask["tokens_cached"] >= 19 * 960, reply["tokens_cached"]) == (0, True, 0)
    assert ask["cached_share"] == pytest.approx(ask["tokens_cached"] / ask["tokens_in"], abs=1e-4)
    assert report["tokens_cached"] == ask["tokens_cached"]
    paid = (report["tokens_in"] - report["tokens_cached"]) * 1000 + report["tokens_cached"] * 100
    assert report["cost_usd"] == pytest.approx(paid / 1e6, abs=1e-6)
    assert f"{report['cached_share']:.0%} of the prompts' tokens cached" in ran.stderr

    again = project.run(model.url).report
    assert (again["llm_calls"], again["tokens_cached"], again["cost_usd"]) == (0, 0, 0)


@pytest.mark.parametrize("client", ["openai", pytest.param("litellm", marks=pytest.mark.long)])
def test_replies_are_found_again_whether_prompts_are_marked_or_not(project: Project, model: SimulatedModel, client: str) -> None:
    model.change(record=True)
    unmarked = project.generate(project.documents(6), model.url, storage=project.folder / "elsewhere")
    assert not _marked(model)
    project.write("models.yaml", f"teacher: {{model: openai/teacher, client: {client}, prompt_cache: always}}\n")
    assert project.generate(project.documents(6), model.url) == unmarked
    assert _marked(model) == [f"{RULES.strip()}\n\n\n\nDocument:"] * 6
    project.write("models.yaml", f"teacher: {{model: openai/teacher, client: {client}, prompt_cache: never}}\n")
    assert project.generate(project.documents(6), model.url) == unmarked
    assert project.report()["llm_calls"] == 0
    assert len(project.generate(project.documents(8), model.url, shard_size=3)) == 8
    assert project.report()["llm_calls"] == 4


def _marked(model: SimulatedModel) -> list[str]:
    """Return the marked beginnings of the prompts that the model was sent."""
    contents = [entry.body["messages"][0]["content"] for entry in model.journal]
    parts = [content[0] for content in contents if isinstance(content, list)]
    return [part["text"] for part in parts if part["cache_control"] == {"type": "ephemeral"}]
