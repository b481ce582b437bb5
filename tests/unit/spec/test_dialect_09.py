"""Flow files of sdg_hub 0.9: read as they are, with warnings where something has no effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.errors import FlowError
from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.reader import read_flow
from sdg_prefect.spec.tracking import track_columns
from tests.oracle.tables import reasons

FLOW = """\
metadata:
  id: small-example-1
  name: Pairs
  version: 1.0.0
  author: Somebody
  tags: [qa]
  licence: MIT
  recommended_models: {default: some/model, compatible: [other]}
  dataset_requirements: {required_columns: [document], description: Any.}
  output_columns: [answer]
parameters: {size: {default: 1}}
extra: 1
blocks:
- block_type: PromptBuilderBlock
  runtime_overrides: [x]
  block_config:
    block_name: prompt
    input_cols: [document]
    output_cols: messages
    prompt_config_path: prompt.yaml
- block_type: LLMChatBlock
  block_config: {block_name: ask, input_cols: messages, output_cols: replies, async_mode: true, temprature: 0.5}
- block_type: LLMResponseExtractorBlock
  block_config: {block_name: said, input_cols: replies, expand_list: true}
- block_type: TagParserBlock
  block_config: {block_name: parse, input_cols: said_content, output_cols: answer, start_tags: '', end_tags: '', save_x: 1}
"""
PROMPT = "- {role: user, content: 'Ask about {{ document }}.'}\n"


def read(folder: Path, text: str = FLOW, *overrides: str) -> FlowSpec:
    (folder / "prompt.yaml").write_text(PROMPT)
    (folder / "flow.yaml").write_text(text)
    return read_flow(folder / "flow.yaml", overrides=overrides)


def test_a_flow_says_of_itself_what_it_is(tmp_path: Path) -> None:
    flow = read(tmp_path)
    assert (flow.name, flow.about.id, flow.about.version, flow.about.author, flow.about.tags) == (
        "Pairs",
        "small-example-1",
        "1.0.0",
        "Somebody",
        ("qa",),
    )
    assert flow.about.recommended_models is not None
    assert flow.about.recommended_models.compatible == ("other",)


def test_what_has_no_effect_is_told_with_its_line_and_stops_nothing(tmp_path: Path) -> None:
    flow = read(tmp_path)
    told = [(problem.line, problem.message, problem.hint) for problem in flow.warnings]
    assert told == [
        (12, "unknown key 'extra' of a flow is ignored.", ""),
        (7, "unknown key 'licence' of 'metadata' is ignored.", "Did you mean 'license'?"),
        (15, "'runtime_overrides' has no effect.", ""),
        (24, "block 'said': unknown field 'expand_list' is ignored.", "Did you mean 'expand_lists'?"),
        (26, "block 'parse': unknown field 'save_x' is ignored.", ""),
    ]
    doubted = [problem.message for problem in track_columns(flow, ["document"]).problems]
    assert doubted == ["block 'ask': 'temprature' is sent to the server as it is. Did you mean 'temperature'?"]


def test_keys_of_metadata_that_nobody_knows_are_told_at_any_depth(tmp_path: Path) -> None:
    text = FLOW.replace("compatible: [other]", "compatibel: [other]")
    flow = read(tmp_path, text.replace("description: Any.", "require_columns: [x], max_samples: 9"))
    told = {(problem.line, problem.message, problem.hint) for problem in flow.warnings if "metadata." in problem.message}
    assert told == {
        (8, "unknown key 'compatibel' of 'metadata.recommended_models' is ignored.", "Did you mean 'compatible'?"),
        (9, "unknown key 'require_columns' of 'metadata.dataset_requirements' is ignored.", "Did you mean 'required_columns'?"),
    }


def test_keys_of_blocks_that_nobody_knows_are_told_where_there_are_metadata(tmp_path: Path) -> None:
    text = "blocks: [{block_type: RowMultiplierBlock, block_config: {block_name: b, num_samples: 2}, wehn: id > 1}]\n"
    (told,) = read(tmp_path, f"metadata: {{name: x}}\n{text}").warnings
    assert (told.message, told.hint) == ("unknown key 'wehn' of a block is ignored.", "Did you mean 'when'?")
    with pytest.raises(FlowError, match=r"unknown key 'wehn' of a block\. Did you mean 'when'?"):
        read(tmp_path, text)


def test_names_in_metadata_lose_the_blanks_around_them(tmp_path: Path) -> None:
    text = FLOW.replace("[qa]", "[' qa ', '']").replace("s: [answer]", "s: ['answer ']").replace("[other]", "[' other', ' ']")
    flow = read(tmp_path, text.replace("{required_columns: [document]", "{required_columns: [' document ', '']"))
    assert (flow.about.tags, flow.output_columns) == (("qa",), ("answer",))
    assert flow.inputs is not None
    assert flow.inputs.required_columns == ("document",)
    assert flow.about.recommended_models is not None
    assert flow.about.recommended_models.compatible == ("other",)


def test_columns_are_followed_through_every_block(tmp_path: Path) -> None:
    tracking = track_columns(read(tmp_path), ["document", "id"])
    assert tracking.output.names == ("document", "id", "answer")
    mistaken = read(tmp_path, FLOW.replace("input_cols: said_content", "input_cols: said_contnt"))
    (problem,) = [found for found in track_columns(mistaken, ["document"]).problems if not found.warning]
    assert (problem.line, problem.hint) == (26, "Did you mean 'said_content'?")


def test_a_block_without_a_model_uses_the_one_that_the_flow_recommends(tmp_path: Path) -> None:
    flow = read(tmp_path)
    assert (flow.model_ids(), dict(flow.models)) == ({"some/model"}, {})
    assert read(tmp_path, FLOW.replace("  recommended_models", "  x")).model_ids() == {"default"}


def test_an_included_flow_uses_the_model_that_the_flow_around_it_recommends(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text(FLOW.replace("  recommended_models", "  x"))
    outer = "metadata: {recommended_models: {default: around}}\npipelines: [{name: inner, flow: inner.yaml}]\n"
    assert read(tmp_path, outer).model_ids() == {"around"}


def test_a_package_that_a_block_needs_is_asked_for_before_anything_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "- {block_type: PythonInterpreterBlock, block_config: {block_name: run, input_cols: code, output_cols: made}}\n"
    flow = read(tmp_path, code)
    assert flow.missing_packages() == []
    monkeypatch.setattr("sdg_prefect.blocks.python_code.PythonInterpreterBlock.packages", {"no_such_package": "code"})
    (problem,) = flow.missing_packages()
    assert str(problem).endswith(
        "flow.yaml:1  block 'run' needs the package 'no_such_package', which is not installed. pip install 'sdg-prefect[code]'"
    )
    options = RunOptions(flow=tmp_path / "flow.yaml")
    assert prepare(options, needs_endpoints=False).plan.labels() == ["run"]
    with pytest.raises(FlowError, match="which is not installed"):
        prepare(options)


def test_a_block_that_names_its_model_says_where_it_is_unless_the_flow_does(tmp_path: Path) -> None:
    text = FLOW.replace("temprature: 0.5", "model: openai/gpt-4o")
    assert read(tmp_path, text).models["openai/gpt-4o"].chosen_client == "litellm"
    served = read(tmp_path, text.replace("extra: 1", "models: {openai/gpt-4o: simulated/x}"))
    assert served.models["openai/gpt-4o"].is_simulated


def test_runtime_parameters_are_set_from_the_command_line(tmp_path: Path) -> None:
    flow = read(tmp_path, FLOW, "ask.temperature=0.25", "ask.model=mine", "parse.start_tags=['<a>']")
    blocks = {item.name: block.model_dump() for item, block in flow.blocks()}
    assert (blocks["ask"]["temperature"], blocks["ask"]["model"], blocks["parse"]["start_tags"]) == (0.25, "mine", ("<a>",))


def test_a_secret_stays_the_name_of_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    keyed = FLOW.replace("temprature: 0.5", "model: m, api_base: 'http://host/v1', api_key: '${MY_KEY}'")
    flow = read(tmp_path, keyed)
    (endpoint,) = flow.models.values()
    assert (endpoint.api_key_env, endpoint.key()) == ("MY_KEY", "sk-secret")
    assert "sk-secret" not in repr(flow)
    with pytest.raises(FlowError, match="block 'ask': api_key: a key must not stand in a file"):
        read(tmp_path, keyed.replace("${MY_KEY}", "sk-secret"))


def test_headers_and_keys_of_agents_keep_their_variables_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    flow = read(
        tmp_path,
        "- block_type: AgentBlock\n"
        "  block_config: {block_name: a, agent_framework: langflow, agent_url: 'http://${HOST:-h}/run', input_cols: q,"
        " agent_api_key: '${MY_KEY}'}\n"
        "- block_type: MCPAgentBlock\n"
        "  block_config: {block_name: b, model: m, mcp_server_url: 'http://t/mcp', input_cols: q, output_cols: x,"
        " mcp_headers: {Authorization: 'Bearer ${MY_KEY}'}}\n",
    )
    assert flow.models["langflow@http://h/run"].api_key_env == "MY_KEY"
    assert flow.models["mcp@http://t/mcp"].params == {"headers": {"Authorization": "Bearer ${MY_KEY}"}}
    assert "sk-secret" not in repr(flow)


def test_a_secret_as_an_unknown_field_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FlowError, match="a key must not stand in a file"):
        read(tmp_path, FLOW.replace("save_x: 1", "api_key: sk-1"))


def test_each_difference_that_was_found_beside_sdg_hub_is_told() -> None:
    page = (Path(__file__).parents[3] / "docs" / "from-sdg-hub-0.9.md").read_text("utf-8")
    told = {line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if line.startswith("| ")}
    assert reasons() <= told


def test_the_flow_file_is_not_changed(tmp_path: Path) -> None:
    text = FLOW.replace("  id: small-example-1\n", "") + "# a comment\n"
    read(tmp_path, text)
    assert (tmp_path / "flow.yaml").read_text() == text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("default: some/model, ", "", "flow.yaml:8  'metadata': the key 'recommended_models.default' is missing."),
        ("tags: [qa]", "tags: qa", "flow.yaml:6  'metadata': 'tags' has to be a list, not 'qa'."),
        ("output_cols: answer, start", "output_cols: [a, b], start", "1 start tag(s) and 1 end tag(s) for 2 output column(s)"),
    ],
)
def test_what_is_wrong_is_a_problem_with_file_and_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FlowError) as told:
        read(tmp_path, FLOW.replace(old, new))
    assert said in str(told.value)
