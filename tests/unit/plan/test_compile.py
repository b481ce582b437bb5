"""From a flow to its plan, and how a plan is written."""

from __future__ import annotations

from pathlib import Path

from sdg_prefect.models.endpoint import resolve_endpoints
from sdg_prefect.plan.compile import compile_plan
from sdg_prefect.plan.plan import PipelinePlan, Plan, Step
from sdg_prefect.spec.reader import read_flow
from sdg_prefect.spec.tracking import track_columns
from tests.flows import PROMPT, copy, nested


def compiled(folder: Path, text: str, **files: str) -> Plan:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "flow.yaml").write_text(text)
    spec = read_flow(folder / "flow.yaml")
    return compile_plan(spec, track_columns(spec, ("a",)), resolve_endpoints(spec.model_ids(), spec.models))


def steps(plan: Plan) -> list[Step]:
    return plan.steps()


def test_drop_duplicates_is_a_step_of_its_own_that_waits_for_all_rows(tmp_path: Path) -> None:
    plan = compiled(tmp_path, f"{copy('a', 'b')}  drop_duplicates: [b]\n")
    assert [(step.name, step.label, step.scope) for step in steps(plan)] == [
        ("copy", "copy", "row"),
        ("copy · drop_duplicates", "copy · drop_duplicates", "all"),
    ]
    assert plan.labels() == ["copy", "copy · drop_duplicates"]


def test_with_the_scope_of_a_shard_nothing_waits(tmp_path: Path) -> None:
    text = "- block_type: SetToMajorityValue\n  block_config: {block_name: most, col_name: a}\n  drop_duplicates: a\n"
    assert [step.scope for step in steps(compiled(tmp_path, text))] == ["all", "all"]
    assert [step.scope for step in steps(compiled(tmp_path, f"{text}  scope: shard\n"))] == ["row", "row"]


def test_blocks_of_the_same_name_in_two_pipelines_have_labels_of_their_own(tmp_path: Path) -> None:
    plan = compiled(tmp_path, f"{nested('one', 'x.yaml')}{nested('two', 'y.yaml')}", x=copy("a", "b"), y=copy("b", "c"))
    assert plan.labels() == ["one.copy", "two.copy"]


def test_a_nested_pipeline_is_a_plan_of_its_own(tmp_path: Path) -> None:
    plan = compiled(tmp_path, nested("inner", "x.yaml"), x=copy("a", "b"))
    (inner,) = plan.pipelines[0].steps
    assert isinstance(inner, PipelinePlan)
    assert (inner.name, inner.times) == ("inner", 1)


def test_what_the_item_of_a_nested_pipeline_drops_is_dropped_by_its_last_step(tmp_path: Path) -> None:
    plan = compiled(tmp_path, f"{nested('inner', 'x.yaml')}  drop_columns: [a]\n", x=copy("a", "b") + copy("b", "c"))
    assert [step.drop_columns for step in steps(plan)] == [(), ("a",)]


def test_what_a_nested_pipeline_hands_on_is_kept_by_its_last_step(tmp_path: Path) -> None:
    plan = compiled(tmp_path, nested("inner", "x.yaml"), x=f"output_columns: [b]\nblocks:\n{copy('a', 'b')}")
    (step,) = steps(plan)
    assert (step.keep_columns, plan.output_columns) == (("b",), None)


def test_a_repetition_says_how_often(tmp_path: Path) -> None:
    text = "- block_type: IterBlock\n  block_config: {block_name: x, num_iters: 3, block_type: DuplicateColumns, block_kwargs: {columns_map: {a: b}}}\n"
    assert [step.times for step in steps(compiled(tmp_path, text))] == [3]


def test_warnings_of_the_file_and_of_the_columns_come_with_the_plan(tmp_path: Path) -> None:
    plan = compiled(tmp_path, f"{copy('a', 'b')}  drop_columns: [z]\n  num_samples: 3\n")
    assert sorted(warning.line for warning in plan.warnings) == [3, 4]


def test_a_plan_names_each_endpoint_of_a_model(tmp_path: Path) -> None:
    ask = "- block_type: LLMBlock\n  block_config: {block_name: ask, config_path: p.yaml, model_id: teacher, output_cols: [q]}\n"
    endpoints = "[{api_base: 'http://me:word@a/v1', max_concurrency: 8}, {requests_per_minute: 60}]"
    text = f"models: {{teacher: {{model: gpt, endpoints: {endpoints}}}}}\nblocks:\n{ask}"
    plan = compiled(tmp_path, text, p=PROMPT.replace("document", "a"))
    assert str(plan).splitlines()[1:4] == [
        "  model teacher → gpt at 2 endpoints",
        "    http://a/v1, through openai, 8 calls at once",
        "    provider's own address, through litellm, 60 calls a minute",
    ]


def test_a_plan_is_written_for_people(tmp_path: Path) -> None:
    ask = "- block_type: LLMBlock\n  block_config: {block_name: ask, config_path: p.yaml, model_id: teacher, output_cols: [q]}\n  drop_duplicates: [q]\n"
    plan = compiled(
        tmp_path,
        f"name: verse\nmodels: {{teacher: simulated/x}}\noutput_columns: [q]\nblocks:\n{ask}",
        p=PROMPT.replace("document", "a"),
    )
    assert str(plan).splitlines()[1:] == [
        "  model teacher → simulated/x at simulated, in this process, through openai",
        "  pipeline verse",
        "    ask  (LLMBlock; model teacher) → a, q",
        "    ask · drop_duplicates  (DropDuplicates; waits for all rows) → a, q",
        "  output columns: q",
    ]
