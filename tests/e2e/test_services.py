"""Agents and tools in a run: kept like replies of models, tried again like calls, and never asked twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Project
from tests.services import langflow, serve, serve_tools, tool_caller

pytestmark = pytest.mark.e2e

FLOW = """\
metadata: {{name: services, output_columns: [said, answer, rounds]}}
blocks:
- block_type: AgentBlock
  block_config:
    block_name: ask
    agent_framework: langflow
    agent_url: {agent}/api/v1/run/mine
    agent_api_key: ${{FLOW_KEY}}
    input_cols: [word]
    output_cols: [reply]
- block_type: AgentResponseExtractorBlock
  block_config: {{block_name: taken, input_cols: reply, extract_tool_trace: true}}
- block_type: MCPAgentBlock
  block_config:
    block_name: work
    input_cols: word
    output_cols: trace
    model: caller
    api_base: {model}/v1
    mcp_server_url: {tools}
- block_type: PromptBuilderBlock
  block_config: {{block_name: show, input_cols: {{trace: t, taken_text: a}}, output_cols: said, prompt_config_path: show.yaml}}
- block_type: LLMChatBlock
  block_config: {{block_name: chat, input_cols: said, output_cols: answer, model: caller, api_base: {model}/v1}}
- block_type: JSONStructureBlock
  block_config: {{block_name: rounds, input_cols: [trace], output_cols: rounds}}
"""
SHOW = "- {role: user, content: '{{ a }} {{ t.messages[-1].content }}'}\n"


def test_agents_and_tools_are_asked_once_for_each_row_whatever_the_shards(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOW_KEY", "k7")
    refused: list[str] = []

    def sometimes(path: str, body: Any) -> Any:
        if len(refused) < 2:
            refused.append(path)
            return 503
        return langflow(path, body)

    with serve(sometimes) as agent, serve(tool_caller) as model, serve_tools() as tools:
        project.write("flow.yaml", FLOW.format(agent=agent.url, model=model.url, tools=tools.url))
        project.write("show.yaml", SHOW)
        seeds = [{"word": f"w{place}"} for place in range(4)]
        rows = project.generate(seeds, None, shard_size=2)
        asked = len(agent.asked), len(model.asked), len(tools.called)
        again = project.generate(seeds, None, shard_size=3, keep_ids=True)
        report = project.report()
    assert [row["said"][0]["content"] for row in rows] == [
        f'said w{place} [{{"type": "text", "text": "W{place}"}}]' for place in range(4)
    ]
    assert '"iterations": 2, "max_iterations_reached": false' in rows[0]["rounds"]
    story = project.command("explain", again[0].pop("__row_id__"), "--storage", "store").wait().stdout
    assert '    calls shout with {"word": "w0"}\n    [tool_calls]' in story
    assert "    assistant: calls shout with" in story
    assert rows == [{name: row[name] for name in rows[0]} for row in again]
    assert {headers["x-api-key"] for _, _, headers in agent.asked} == {"k7"}
    assert asked == (4 + 2, 4 * 3, 4) == (len(agent.asked), len(model.asked), len(tools.called))
    assert (report["llm_calls"], report["llm_replayed"]) == (0, 4 + 4 * 4 + 4)
    assert "k7" not in "".join(path.read_text("utf-8", "replace") for path in project.store.rglob("*") if path.is_file())
