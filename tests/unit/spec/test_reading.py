"""The three roots, pipelines in pipelines, and everything that stands at the root of a flow."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdg_prefect.blocks.columns import RenameColumns
from sdg_prefect.errors import FlowError
from sdg_prefect.spec.flow import FlowSpec, Item
from sdg_prefect.spec.reader import read_flow, scan_flow

BLOCKS = """\
- block_type: RenameColumns
  block_config:
    block_name: rename
    columns_map: {a: b}
"""


def read(folder: Path, text: str, *overrides: str, **files: str) -> FlowSpec:
    for name, content in files.items():
        (folder / f"{name}.yaml").write_text(content)
    (folder / "flow.yaml").write_text(text)
    return read_flow(folder / "flow.yaml", overrides=overrides)


def renamed(item: Item) -> dict[str, str]:
    assert isinstance(item.block, RenameColumns)
    return dict(item.block.columns_map)


def indented(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" for line in text.splitlines())


def test_a_list_is_one_pipeline_named_after_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "rhymes"
    folder.mkdir()
    flow = read(folder, BLOCKS)
    assert (flow.name, [pipeline.name for pipeline in flow.pipelines]) == ("rhymes", ["rhymes"])
    assert [item.name for item, _ in flow.blocks()] == ["rename"]


def test_a_mapping_with_blocks_is_one_pipeline_with_a_name(tmp_path: Path) -> None:
    flow = read(tmp_path, f"name: verse\ndescription: Rhymes.\nmax_reject_rate: 0.5\noutput_columns: [b]\nblocks:\n{BLOCKS}")
    assert (flow.name, flow.description, flow.max_reject_rate, flow.output_columns) == ("verse", "Rhymes.", 0.5, ("b",))
    assert not flow.keep_inputs


def test_a_mapping_with_pipelines_is_a_workflow(tmp_path: Path) -> None:
    text = f"name: both\npipelines:\n- name: first\n  blocks:\n{indented(BLOCKS, 2)}- flow: other.yaml\n"
    flow = read(tmp_path, text, other=f"name: second\nblocks:\n{BLOCKS}")
    assert [pipeline.name for pipeline in flow.pipelines] == ["first", "second"]


def test_the_metadata_of_sdg_hub_0_9_says_the_same_as_our_keys(tmp_path: Path) -> None:
    metadata = "{name: theirs, description: D., output_columns: [b], dataset_requirements: {required_columns: [a], extra: 1}}"
    flow = read(tmp_path, f"metadata: {metadata}\nblocks:\n{BLOCKS}")
    assert (flow.name, flow.description, flow.output_columns, flow.keep_inputs) == ("theirs", "D.", ("b",), True)
    assert flow.inputs is not None
    assert flow.inputs.required_columns == ("a",)


def test_pipelines_nest_to_any_depth(tmp_path: Path) -> None:
    inner = f"- block_type: PipelineBlock\n  block_config:\n    block_name: middle\n    blocks:\n{indented(BLOCKS, 4)}"
    flow = read(tmp_path, "- block_type: PipelineBlock\n  block_config: {block_name: outer, flow: inner.yaml}\n", inner=inner)
    (outer,) = flow.pipelines[0].items
    assert outer.pipeline is not None
    (middle,) = outer.pipeline.items
    assert (outer.name, middle.name) == ("outer", "middle")
    assert [item.name for item, _ in flow.blocks()] == ["rename"]


def test_a_workflow_inside_a_pipeline_is_a_chain_of_pipelines(tmp_path: Path) -> None:
    inner = f"pipelines:\n- name: one\n  blocks:\n{indented(BLOCKS, 2)}- name: two\n  blocks:\n{indented(BLOCKS, 2)}"
    flow = read(tmp_path, "- block_type: PipelineBlock\n  block_config: {block_name: x, flow: inner.yaml}\n", inner=inner)
    nested = flow.pipelines[0].items[0].pipeline
    assert nested is not None
    assert [item.name for item in nested.items] == ["one", "two"]


def test_a_repetition_counts_its_rounds(tmp_path: Path) -> None:
    twice = "- block_type: IterBlock\n  block_config: {block_name: again, num_iters: 3, block_type: RenameColumns, block_kwargs: {columns_map: {a: b}}}\n"
    (item,) = read(tmp_path, twice).pipelines[0].items
    assert (item.name, item.times, renamed(item)) == ("again", 3, {"a": "b"})


def test_a_wrong_field_of_a_repeated_block_is_told_with_its_line(tmp_path: Path) -> None:
    text = (
        "- block_type: IterBlock\n  block_config:\n    block_name: again\n    num_iters: 3\n    block_type: RenameColumns\n"
        "    block_kwargs:\n      columns_mpa: {a: b}\n"
    )
    with pytest.raises(
        FlowError, match=r"flow\.yaml:7  block 'again': unknown field 'columns_mpa'\. Did you mean 'columns_map'\?"
    ):
        read(tmp_path, text)


def test_equal_names_are_made_unique(tmp_path: Path) -> None:
    assert [item.name for item, _ in read(tmp_path, BLOCKS * 3).blocks()] == ["rename", "rename_2", "rename_3"]


def test_the_keys_beside_a_block_are_read(tmp_path: Path) -> None:
    (item,) = read(tmp_path, f"{BLOCKS}  drop_columns: [c]\n  drop_duplicates: b\n  scope: shard\n").pipelines[0].items
    assert (item.drop_columns, item.drop_duplicates, item.scope) == (("c",), ("b",), "shard")


def test_keys_that_upstream_ignores_are_warnings(tmp_path: Path) -> None:
    flow = read(tmp_path, f"{BLOCKS}    num_procs: 8\n  num_samples: 3\n")
    assert [(warning.line, warning.warning) for warning in flow.warnings] == [(6, True), (5, True)]


def test_models_stand_in_the_flow_beside_it_or_where_the_command_line_says(tmp_path: Path) -> None:
    text = f"models: {{a: flow/a, b: flow/b}}\nblocks:\n{BLOCKS}"
    flow = read(tmp_path, text, models="b: file/b\nc: {model: file/c}\n", given="models: {a: given/a}\n")
    assert {name: endpoint.model for name, endpoint in flow.models.items()} == {"a": "flow/a", "b": "flow/b", "c": "file/c"}
    flow = read_flow(tmp_path / "flow.yaml", tmp_path / "given.yaml")
    assert {name: endpoint.model for name, endpoint in flow.models.items()} == {"a": "given/a", "b": "flow/b"}


def test_endpoints_of_a_model_take_from_it_what_they_do_not_say(tmp_path: Path) -> None:
    text = (
        "models:\n  teacher:\n    model: m\n    timeout: 9\n    api_key_env: KEY\n    endpoints:\n"
        "    - {api_base: 'http://a/v1', max_concurrency: 4}\n    - {api_base: 'http://b/v1', timeout: 3, api_key_env: null}\n"
    )
    places = read(tmp_path, f"{text}blocks:\n{BLOCKS}").models["teacher"].places
    assert [(one.model, one.api_base, one.max_concurrency, one.timeout, one.api_key_env) for one in places] == [
        ("m", "http://a/v1", 4, 9.0, "KEY"),
        ("m", "http://b/v1", None, 3.0, None),
    ]


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [
        (
            "[{api_bse: 'http://a/v1'}]",
            r"flow\.yaml:4  model 'teacher': unknown key 'endpoints\[0\]\.api_bse'\. Did you mean 'api_base'\?",
        ),
        ("[{api_base: x}, {timeout: 0}]", r"flow\.yaml:4  model 'teacher': 'endpoints\[1\]\.timeout' has to be more than 0"),
        ("[]", r"flow\.yaml:4  model 'teacher': 'endpoints' must not be empty"),
        ("http://a/v1", r"flow\.yaml:4  model 'teacher': 'endpoints' has to be a list"),
        ("[x]", r"flow\.yaml:4  model 'teacher': 'endpoints\[0\]' has to be a mapping"),
        ("[{api_base: x}, {api_base: x/}]", r"model 'teacher': endpoints\[1\] is endpoints\[0\] again"),
        ("[{api_base: x, api_key: sk-1}]", r"flow\.yaml:4  model 'teacher': a key must not stand in a file"),
        ("[{api_base: x, model: other}]", r"flow\.yaml:4  model 'teacher': unknown key 'endpoints\[0\]\.model'"),
    ],
)
def test_a_wrong_endpoint_of_a_model_is_told_with_its_line(tmp_path: Path, endpoints: str, message: str) -> None:
    with pytest.raises(FlowError, match=message) as raised:
        read(tmp_path, f"models:\n  teacher:\n    model: m\n    endpoints: {endpoints}\nblocks:\n{BLOCKS}")
    assert len(raised.value.problems) == 1


def test_set_reaches_every_field_of_a_block(tmp_path: Path) -> None:
    flow = read(tmp_path, BLOCKS, "rename.columns_map={x: y}")
    assert renamed(flow.pipelines[0].items[0]) == {"x": "y"}
    flow = read(tmp_path, BLOCKS, "rename.columns_map.c=d")
    assert renamed(flow.pipelines[0].items[0]) == {"a": "b", "c": "d"}


def test_set_reaches_blocks_of_included_flows(tmp_path: Path) -> None:
    flow = read(tmp_path, "pipelines:\n- flow: inner.yaml\n", "rename.columns_map={x: y}", inner=BLOCKS)
    assert renamed(flow.pipelines[0].items[0]) == {"x": "y"}


def test_what_can_be_read_of_a_wrong_flow_is_kept(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(f"- block_type: Nothing\n  block_config: {{}}\n{BLOCKS}- 3\n")
    reading = scan_flow(tmp_path / "flow.yaml")
    assert reading.flow is not None
    assert [item.name for item in reading.flow.pipelines[0].items] == ["", "rename", ""]
    assert [problem.line for problem in reading.errors] == [1, 7]


def test_problems_come_by_file_and_line_each_once(tmp_path: Path) -> None:
    (tmp_path / "inner.yaml").write_text("- 3\n- block_type: Nothing\n  block_config: {}\n")
    (tmp_path / "flow.yaml").write_text("pipelines:\n- flow: inner.yaml\n- flow: inner.yaml\n- 4\n")
    with pytest.raises(FlowError) as told:
        read_flow(tmp_path / "flow.yaml")
    assert [(Path(problem.file).name, problem.line) for problem in told.value.problems] == [
        ("inner.yaml", 1),
        ("inner.yaml", 2),
        ("flow.yaml", 4),
    ]


def test_keys_of_ones_own_hold_anchors(tmp_path: Path) -> None:
    common = "x-common: &common\n  columns_map: {a: b}\n"
    blocks = "blocks:\n- block_type: RenameColumns\n  block_config: {<<: *common, block_name: rename}\n"
    (item,) = read(tmp_path, common + blocks).pipelines[0].items
    assert renamed(item) == {"a": "b"}


@pytest.mark.parametrize(("written", "shown"), [("yes", "true"), ("12", "12"), ("1.5", "1.5"), ("2024-01-01", "2024-01-01")])
def test_what_yaml_takes_for_something_else_than_text_is_told_with_what_to_do(tmp_path: Path, written: str, shown: str) -> None:
    text = BLOCKS.replace("{a: b}", "{a: b, c: " + written + "}")
    with pytest.raises(FlowError, match=f"has to be text, not {shown}. Put it in quotes"):
        read(tmp_path, text)
