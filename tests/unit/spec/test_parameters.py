"""Parameters of flows: their values, where those go, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sdg_prefect.errors import FlowError
from sdg_prefect.models.endpoint import resolve_endpoints
from sdg_prefect.plan.compile import compile_plan
from sdg_prefect.plan.plan import Plan
from sdg_prefect.spec.flow import FlowSpec
from sdg_prefect.spec.parameter import parameters_schema
from sdg_prefect.spec.reader import read_flow, read_parameters_of, scan_flow
from sdg_prefect.spec.tracking import track_columns
from tests.flows import ASK, copy

FLOW = f"""\
parameters:
  tone: formal
  least: {{type: integer, default: 3, minimum: 1, maximum: 9, description: How much is enough.}}
  share: 0.5
  deep: false
  topics: [x, y]
  kind: {{default: a, enum: [a, b]}}
  by_hand: {{type: string, default: null}}
blocks:
- block_type: FilterByValueBlock
  block_config: {{block_name: keep, filter_column: a, filter_value: "${{parameters.topics}}", operation: operator.eq}}
  when: a|length >= ${{parameters.least}} and ${{parameters.deep}}
- block_type: CombineColumnsBlock
  block_config:
    block_name: both
    columns: [a, a]
    output_col: out_${{parameters.tone}}_${{parameters.kind}}
    separator: ${{parameters.by_hand}}
{copy("a", "b")}"""


def read(folder: Path, text: str, given: dict[str, Any] | None = None, **files: str) -> FlowSpec:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "flow.yaml").write_text(text)
    return read_flow(folder / "flow.yaml", parameters=given)


def problems(folder: Path, text: str, given: dict[str, Any] | None = None, **files: str) -> list[str]:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "flow.yaml").write_text(text)
    found = scan_flow(folder / "flow.yaml", parameters=given).problems
    return [f"{one.file.rpartition('/')[2]}:{one.line} {one.message} {one.hint}".strip() for one in found]


def test_a_value_alone_keeps_its_type_and_inside_of_a_text_is_text(tmp_path: Path) -> None:
    text = FLOW.replace("    separator: ${parameters.by_hand}\n", "")
    keep, both, _ = read(tmp_path, text).pipelines[0].items
    assert keep.when == "a|length >= 3 and false"
    assert keep.block is not None
    assert keep.block.model_dump()["filter_value"] == ["x", "y"]
    assert both.block is not None
    assert both.block.model_dump()["output_col"] == "out_formal_a"


def test_values_that_are_given_take_the_place_of_defaults(tmp_path: Path) -> None:
    given = {"tone": "casual", "least": "5", "share": "1", "deep": "yes", "topics": "p, q", "kind": "b", "by_hand": "-"}
    flow = read(tmp_path, FLOW, given)
    assert flow.values == {
        "tone": "casual", "least": 5, "share": 1, "deep": True, "topics": ["p", "q"], "kind": "b", "by_hand": "-",
    }  # fmt: skip
    keep, both, _ = flow.pipelines[0].items
    assert keep.when == "a|length >= 5 and true"
    assert both.block is not None
    assert both.block.model_dump()["separator"] == "-"
    typed = {"least": 5, "deep": True, "topics": ["p"], "share": 0.25}
    assert {name: read(tmp_path, FLOW, {**typed, "by_hand": ""}).values[name] for name in typed} == typed


def test_a_text_stays_a_text(tmp_path: Path) -> None:
    flow = f"parameters: {{code: {{type: string, default: '1'}}}}\nblocks:\n{copy('a', 'b')}"
    assert read(tmp_path, flow, {"code": "007"}).values == {"code": "007"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tome": "x"}, "the flow has no parameter 'tome'. Did you mean 'tone'?"),
        ({"least": "many"}, "the parameter 'least' has to be a whole number, not 'many'."),
        ({"least": 2.5}, "the parameter 'least' has to be a whole number, not 2.5."),
        ({"least": True}, "the parameter 'least' has to be a whole number, not true."),
        ({"least": 0}, "the parameter 'least' has to be at least 1, not 0."),
        ({"least": 10}, "the parameter 'least' has to be at most 9, not 10."),
        ({"deep": "perhaps"}, "the parameter 'deep' has to be true or false, not 'perhaps'."),
        ({"tone": 3}, "the parameter 'tone' has to be text, not 3."),
        ({"kind": "c"}, "the parameter 'kind' has to be one of a, b, not 'c'."),
        ({"topics": {"a": 1}}, "the parameter 'topics' has to be a list, not a mapping."),
    ],
)
def test_a_wrong_value_is_one_problem(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    assert problems(tmp_path, FLOW.replace("    separator: ${parameters.by_hand}\n", ""), given) == [f":0 {message}"]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("tone", "flow.yaml:1 'parameters' has to be a mapping, not 'tone'."),
        ("{a b: 1}", "flow.yaml:1 'a b' cannot be the name of a parameter."),
        ("{api_key: x}", "flow.yaml:1 the parameter 'api_key': a key must not be a parameter."),
        ("{n: {type: int, default: 1}}", "flow.yaml:1 the parameter 'n': 'type' cannot be 'int'."),
        ("{n: {typ: integer, default: 1}}", "flow.yaml:1 the parameter 'n': unknown key 'typ'. Did you mean 'type'?"),
        ("{n: {type: integer, default: x}}", "flow.yaml:1 the parameter 'n': its default has to be a whole number, not 'x'."),
        ("{n: {type: integer, default: '3'}}", "flow.yaml:1 the parameter 'n': its default has to be a whole number, not '3'."),
        ("{n: {default: 3, maximum: 2}}", "flow.yaml:1 the parameter 'n': its default has to be at most 2, not 3."),
        ("{n: {type: integer, description: How many.}}", "flow.yaml:1 the parameter 'n' has no value: How many. Give it one (--param NAME=VALUE), or a default."),
        ("{n: {default: 1, constraints: {}}}", "flow.yaml:1 'constraints' of a parameter has no effect."),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_told_with_its_line(tmp_path: Path, declared: str, message: str) -> None:
    (found,) = problems(tmp_path, f"parameters: {declared}\nblocks:\n{copy('a', 'b')}")
    assert found.startswith(message)


def test_a_parameter_that_nobody_declares_is_told_where_it_is_used(tmp_path: Path) -> None:
    text = f"parameters: {{tone: x}}\nblocks:\n{copy('a', '${parameters.tome}').replace('{a: ', '{a: ', 1)}"
    text = text.replace("{a: ${parameters.tome}}", "{a: '${parameters.tome}'}")
    assert problems(tmp_path, text) == ["flow.yaml:4 there is no parameter 'tome'. Did you mean 'tone'?"]


def test_what_a_missing_value_would_fill_is_no_second_problem(tmp_path: Path) -> None:
    text = "parameters: {n: {type: integer}}\nblocks:\n- block_type: IterBlock\n  block_config:\n    block_name: x\n    num_iters: ${parameters.n}\n    block_type: DuplicateColumns\n    block_kwargs: {columns_map: {a: b}}\n"
    assert [one[:46] for one in problems(tmp_path, text)] == ["flow.yaml:1 the parameter 'n' has no value. Giv"[:46]]
    assert read(tmp_path, text, {"n": "3"}).pipelines[0].items[0].times == 3


def test_an_including_pipeline_gives_values(tmp_path: Path) -> None:
    inner = f"parameters: {{target: z}}\nblocks:\n{copy('a', 'b')}".replace("{a: b}", "{a: '${parameters.target}'}")
    outer = (
        "parameters: {name: p}\npipelines:\n- flow: inner.yaml\n- flow: inner.yaml\n  parameters: {target: '${parameters.name}_1'}\n"
        "- blocks:\n  - block_type: PipelineBlock\n    block_config: {block_name: x, flow: inner.yaml, parameters: {target: c}}\n"
    )
    flow = read(tmp_path, outer, {"name": "q"}, inner=inner)
    assert track_columns(flow, ("a",)).output.names == ("a", "z", "q_1", "c")
    wrong = outer.replace("target: c", "traget: c")
    (found,) = problems(tmp_path, wrong, {"name": "q"}, inner=inner)
    assert found == "flow.yaml:8 the flow has no parameter 'traget'. Did you mean 'target'?" or found.endswith("Known: target.")


def test_what_an_included_flow_needs_is_told_with_what_to_write(tmp_path: Path) -> None:
    inner = f"parameters: {{target: {{type: string}}}}\nblocks:\n{copy('a', 'b')}"
    (found,) = problems(tmp_path, "pipelines:\n- flow: inner.yaml\n", inner=inner)
    assert found == "inner.yaml:1 the parameter 'target' has no value. Give it one ('parameters' beside 'flow'), or a default."


def test_an_included_list_sees_the_parameters_of_the_file_around_it(tmp_path: Path) -> None:
    steps = copy("a", "b").replace("{a: b}", "{a: '${parameters.one}', b: '${parameters.two}'}").replace("{a: ", "{a: ", 1)
    text = "parameters: {one: p}\nblocks:\n- include: steps.yaml\n  parameters: {two: q}\n"
    (item,) = read(tmp_path, text, steps=steps).pipelines[0].items
    assert item.block is not None
    assert item.block.model_dump()["columns_map"] == {"a": "p", "b": "q"}
    alone = "- include: steps.yaml\n  parameters: {one: p, two: q}\n"
    assert read(tmp_path, alone, steps=steps).pipelines[0].items[0].block == item.block


def test_a_list_of_blocks_has_no_parameters(tmp_path: Path) -> None:
    assert problems(tmp_path, copy("a", "b"), {"x": "1"}) == [":0 the flow has no parameter 'x'. A list of blocks has none."]


def plan(folder: Path, tone: str) -> Plan:
    prompt = "generation: Be {{ parameters.tone }} about {{document}}.\nstart_tags: ['']\nend_tags: ['']\n"
    text = (
        f"parameters: {{tone: formal}}\nmodels: {{teacher: simulated/x}}\nblocks:\n{ASK}{ASK.replace('ask.yaml', 'plain.yaml')}"
    )
    flow = read(folder, text, {"tone": tone}, ask=prompt, plain=prompt.replace("parameters.tone", "'plain'"))
    return compile_plan(flow, track_columns(flow, ("document",)), resolve_endpoints(flow.model_ids(), flow.models))


def test_another_value_is_another_key_for_blocks_that_use_it_only(tmp_path: Path) -> None:
    one, other, again = (plan(tmp_path, tone).steps() for tone in ("formal", "casual", "formal"))
    assert [step.key for step in one] == [step.key for step in again]
    assert one[0].key != other[0].key
    assert one[1].key == other[1].key
    assert '  parameter tone = "casual"' in str(plan(tmp_path, "casual"))


def test_a_prompt_that_names_no_such_parameter_is_told_with_its_line(tmp_path: Path) -> None:
    text = f"parameters: {{tone: formal}}\nmodels: {{teacher: simulated/x}}\nblocks:\n{ASK}"
    prompt = "generation: |\n  A\n  {{ parameters.tome }} {{document}}\nstart_tags: ['']\nend_tags: ['']\n"
    assert problems(tmp_path, text, ask=prompt) == ["ask.yaml:3 there is no parameter 'tome'. Did you mean 'tone'?"]


def test_a_row_may_have_a_column_called_parameters_where_there_are_none(tmp_path: Path) -> None:
    prompt = "generation: '{{ parameters.tone }}'\nstart_tags: ['']\nend_tags: ['']\n"
    flow = read(tmp_path, f"models: {{teacher: simulated/x}}\nblocks:\n{ASK}", ask=prompt)
    assert list(track_columns(flow, None).seeds) == ["parameters"]


def test_the_schema_says_what_values_there_may_be(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW.replace("  share: 0.5\n", "  share: {type: number}\n"))
    schema = parameters_schema(read_parameters_of(tmp_path / "flow.yaml"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert validator.is_valid({"share": 1, "least": 3, "topics": ["x"], "kind": "b"})
    for wrong in ({}, {"share": "x"}, {"share": 1, "least": 0}, {"share": 1, "kind": "c"}, {"share": 1, "other": 1}):
        assert not validator.is_valid(wrong)
    assert schema["properties"]["least"]["description"] == "How much is enough."
    (tmp_path / "flow.yaml").write_text("parameters: 3\nblocks: []\n")
    with pytest.raises(FlowError):
        read_parameters_of(tmp_path / "flow.yaml")


def test_values_for_a_file_that_cannot_be_read_are_no_second_problem(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "parameters: {tone: x\nblocks: []\n", {"tone": "y"})
    assert "not valid YAML" in found
