"""Kinds of agents that installed packages bring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.agents import AgentBlock
from sdg_prefect.models.services.kinds import GROUP, find_agent

CODE = """\
from sdg_prefect.models.services.agents import Agent, said_by

class Clerk(Agent):
    branch: str
    async def ask(self, server, url, messages, session):
        return said_by([])
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with a kind of agent, and with what is none."""
    (tmp_path / "my_agents.py").write_text(CODE)
    about = tmp_path / "my_agents-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-agents\nVersion: 1.0\n")
    named = "clerk = my_agents:Clerk\nmodule = my_agents\nbroken = not_there:Clerk\nlangflow = my_agents:Clerk\n"
    (about / "entry_points.txt").write_text(f"[{GROUP}]\n{named}")
    monkeypatch.syspath_prepend(str(tmp_path))
    find_agent.cache_clear()
    yield
    find_agent.cache_clear()


def asking(kind: str, **options: object) -> AgentBlock:
    fields = {"agent_url": "http://host", "input_cols": "q", "connector_kwargs": options}
    return AgentBlock.model_validate({"block_name": "ask", "agent_framework": kind, **fields})


def test_a_kind_is_found_by_its_name_with_options_of_its_own() -> None:
    (endpoint,) = asking("clerk", branch="harbour").own_endpoints().values()
    assert (endpoint.client, endpoint.agent, endpoint.params) == ("agent", "clerk", {"branch": "harbour"})
    assert find_agent("langflow").__module__.startswith("sdg_prefect.")


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("clerk", {}, "connector_kwargs of clerk: 'branch' is missing"),
        ("clerk", {"branch": "x", "brunch": 1}, "unknown option 'brunch'. Did you mean 'branch'?"),
        ("clark", {}, "there is no kind of agent 'clark'. Did you mean 'clerk'?"),
        ("module", {}, "is no subclass of Agent"),
        ("broken", {}, "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_is_wrong_with_a_kind_is_found_before_anything_runs(kind: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as told:
        asking(kind, **options)
    assert said in str(told.value)
