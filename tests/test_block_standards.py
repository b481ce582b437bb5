"""What every registered block type has to satisfy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from sdg_prefect.blocks import Block, Columns, block_names, find_block
from sdg_prefect.blocks.reference import FAMILIES
from sdg_prefect.blocks.structure import StructureBlock
from sdg_prefect.frozen import digest, documented_schema
from sdg_prefect.models.completion import Choice, Completion, Failure
from sdg_prefect.rows import with_ids
from sdg_prefect.seed_ids import seed_ids
from sdg_prefect.testing import BlockResult, check_block, check_example, run_block
from sdg_prefect.testing.examples import awkward_replies, awkward_rows
from sdg_prefect.testing.running import with_row_ids
from sdg_prefect.testing.script import Reply
from sdg_prefect.testing.standards import copy_elsewhere

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("other", pa.string()),
        ("choice", pa.string()),
        ("score", pa.string()),
        ("number", pa.float64()),
        ("count", pa.int64()),
        ("flag", pa.bool_()),
        ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
        ("nested", pa.struct([("a", pa.list_(pa.int64())), ("b", pa.string())])),
        ("weights", pa.struct([("p", pa.float64()), ("q", pa.float64())])),
        ("said", pa.struct([("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])))])),
        ("nothing", pa.null()),
    ]
)

PROMPT = {
    "messages": [{"role": "user", "content": "Ask about {{ text }} {% if other %}({{ other }}){% endif %} {{ nested.a }}"}],
    "start_tags": ["<q>", "<a>"],
    "end_tags": ["</q>", "</a>"],
}
SHORT = {"messages": [{"role": "user", "content": "Say {{ text.strip() }}"}], "start_tags": [""], "end_tags": [""]}
ASK: Mapping[str, Any] = {"model_id": "teacher", "config_path": PROMPT, "output_cols": ["question", "answer"]}
SEND: Mapping[str, Any] = {"model_id": "teacher"}
PATTERN = {"parser_name": "custom", "parsing_pattern": r"<(\w)>(.*?)</\w>", "parser_cleanup_tags": ["é"]}

IN_OUT: Mapping[str, Any] = {"input_cols": "text", "output_cols": "made"}

VARIANTS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("AgentBlock", {**IN_OUT, "agent_framework": "langflow", "agent_url": "http://localhost/run"}),
    (
        "AgentBlock",
        {
            "agent_framework": "langgraph",
            "agent_url": "http://localhost",
            "input_cols": {"messages": "messages"},
            "session_id_col": "count",
            "connector_kwargs": {"assistant_id": "mine"},
        },
    ),
    ("AgentResponseExtractorBlock", {"input_cols": "said", "extract_tool_trace": True, "field_prefix": "x_"}),
    ("ColumnValueFilterBlock", {"input_cols": ["text"], "filter_value": ["a", "é"], "operation": "contains"}),
    (
        "ColumnValueFilterBlock",
        {"input_cols": "score", "filter_value": [1, 2.5], "operation": "in", "convert_dtype": "float"},
    ),
    ("ColumnValueFilterBlock", {"input_cols": "number", "filter_value": 1, "operation": "ne"}),
    ("DuplicateColumnsBlock", {"input_cols": {"text": "copy", "nested": "deep"}}),
    (
        "IndexBasedMapperBlock",
        {"choice_map": {"x": "text", "y": "other"}, "choice_cols": ["choice", "choice"], "output_cols": ["p", "q"]},
    ),
    ("JSONParserBlock", {"input_cols": "text", "output_cols": ["a", "b"], "drop_input": True}),
    ("JSONStructureBlock", {"input_cols": ["text", "number", "nested", "messages"], "output_cols": "made"}),
    ("LLMChatBlock", {"input_cols": "messages", "output_cols": "made", "model": "teacher", "n": 2, "temprature": 1}),
    ("LLMResponseExtractorBlock", {"input_cols": "messages", "field_prefix": "x_"}),
    ("LLMResponseExtractorBlock", {"input_cols": "messages", "field_prefix": "y_", "expand_lists": False}),
    ("MCPAgentBlock", {**IN_OUT, "model": "teacher", "mcp_server_url": "http://localhost/mcp", "max_iterations": 2}),
    ("MeltColumnsBlock", {"input_cols": ["text", "other", "nothing"], "output_cols": ["value", "kind"]}),
    ("PromptBuilderBlock", {"input_cols": ["text", "other", "nested"], "output_cols": "made", "prompt_config_path": PROMPT}),
    (
        "PromptBuilderBlock",
        {"input_cols": {"other": "text"}, "output_cols": "made", "prompt_config_path": SHORT, "format_as_messages": False},
    ),
    ("PythonInterpreterBlock", IN_OUT),
    ("RegexParserBlock", {"input_cols": "text", "output_cols": ["a", "b"], "parsing_pattern": "(a)(b?)"}),
    ("RenameColumnsBlock", {"input_cols": {"text": "other", "other": "text", "count": "number"}}),
    ("RowMultiplierBlock", {"num_samples": 2}),
    ("RowMultiplierBlock", {"num_samples": 3, "shuffle": True, "random_seed": 1}),
    ("SamplerBlock", {"input_cols": "messages", "output_cols": "made", "num_samples": 1, "return_scalar": True}),
    ("SamplerBlock", {"input_cols": "weights", "output_cols": "made", "num_samples": 2}),
    ("SamplerBlock", IN_OUT),
    (
        "TagParserBlock",
        {"input_cols": ["text"], "output_cols": ["a", "b"], "start_tags": ["a", ""], "end_tags": ["b", ""]},
    ),
    ("TextConcatBlock", {"input_cols": ["text", "number", "nested"], "output_cols": "text"}),
    ("UniformColumnValueSetter", {"input_cols": "number", "reduction_strategy": "median"}),
    ("UniformColumnValueSetter", {"input_cols": "text"}),
    ("BranchBlock", {"branches": [{"when": "count > 1", "blocks": []}, {"flow": "other.yaml"}]}),
    ("CombineColumnsBlock", {"columns": ["text", "number", "nested", "nothing"], "output_col": "text"}),
    (
        "ConditionalLLMBlock",
        {**SEND, "config_paths": {"x": PROMPT, "y": SHORT}, "selector_column_name": "choice", "output_cols": ["q"]},
    ),
    ("DropDuplicates", {"columns": ["number", "nested"]}),
    ("DuplicateColumns", {"columns_map": {"text": "copy", "nested": "deep"}}),
    (
        "FilterByValueBlock",
        {"filter_column": "score", "filter_value": [1, 2.5], "operation": "operator.eq", "convert_dtype": "float"},
    ),
    ("FilterByValueBlock", {"filter_column": "score", "filter_value": 1, "operation": "operator.ge", "convert_dtype": "int"}),
    ("FilterByValueBlock", {"filter_column": "choice", "filter_value": 1, "operation": "operator.lt"}),
    ("FilterByValueBlock", {"filter_column": "nested", "filter_value": "x", "operation": "operator.ne"}),
    (
        "FilterByValueBlock",
        {"filter_column": "nothing", "filter_value": "x", "operation": "operator.contains", "convert_dtype": "int"},
    ),
    ("FlattenColumnsBlock", {"var_cols": ["text", "other", "nothing"], "value_name": "value", "var_name": "kind"}),
    ("FlattenColumnsBlock", {"var_cols": ["count", "nested", "number"], "value_name": "text", "var_name": "kind"}),
    (
        "HoldConversation",
        {
            "model_id": "teacher",
            "user_model_id": "student",
            "user_system": "Ask about {{ text }}",
            "tool_model_id": "tools",
            "tool_system": "You know {{ other }}",
            "tool_rounds": 2,
            "opening_col": "text",
            "gen_kwargs": {"tools": [{"name": "look"}]},
        },
    ),
    ("IterBlock", {"num_iters": 2, "block_type": "DuplicateColumns"}),
    ("LLMBlock", ASK),
    ("LLMBlock", {**ASK, "gen_kwargs": {"n": 2, "stop": ["</q>"]}, "parser_kwargs": PATTERN}),
    ("LLMBlock", {**ASK, "config_path": {**SHORT, "num_samples": 3}, "output_cols": ["text"], "model_prompt": "blank"}),
    ("LLMLogProbBlock", {**ASK, "output_cols": ["logprobs"]}),
    ("LLMMessagesBlock", {**SEND, "input_col": "messages", "output_col": "replies", "gen_kwargs": {"n": 2}}),
    ("LLMMessagesBlock", {**SEND, "input_col": "messages", "output_col": "messages"}),
    ("OpenAIAsyncChatBlock", {**SEND, "input_cols": ["messages"], "output_cols": ["reply"], "temperature": 0.5}),
    ("OpenAIChatBlock", {**SEND, "input_cols": "messages", "output_cols": "reply", "gen_kwargs": {"n": 2}}),
    ("PRMBlock", {"host": "localhost", "model_name": "judge", "prompt_col": "text", "response_col": "other"}),
    ("PipelineBlock", {"flow": "other.yaml"}),
    ("PostProcessThinkingBlock", {"column_name": "text"}),
    ("PostProcessThinkingBlock", {"column_name": "nothing"}),
    (
        "RegexParserBlock",
        {"column_name": "text", "parsing_pattern": "(a)(b?)", "output_cols": ["a", "b"], "parser_cleanup_tags": ["b"]},
    ),
    (
        "RegexParserBlock",
        {"column_name": "text", "output_cols": ["text", "other", "nothing", "number"], "parser_cleanup_tags": ["a"]},
    ),
    ("RepeatBlock", {"flow": "other.yaml", "until": "count is not none", "max_rounds": 3}),
    ("RenameColumns", {"columns_map": {"text": "other", "other": "text", "count": "number"}}),
    ("ReviewBlock", {"question": "Is any of them rude?", "show": ["text"], "sample": 2}),
    (
        "SamplePopulatorBlock",
        {"config_paths": {"x": {"a": 1, "text": "t"}, "y": {"a": "1", "b": [2.5]}}, "column_name": "choice"},
    ),
    ("SelectorBlock", {"choice_map": {"x": "text", "y": "number", "z": "nothing"}, "choice_col": "choice", "output_col": "text"}),
    ("SelectorBlock", {"choice_map": {True: "count", False: "number"}, "choice_col": "flag", "output_col": "picked"}),
    ("SetToMajorityValue", {"col_name": "number"}),
    ("SetToMajorityValue", {"col_name": "text"}),
)
STRUCTURES = ("BranchBlock", "IterBlock", "PipelineBlock", "RepeatBlock")
RUNNING = [example for example in VARIANTS if example[0] not in STRUCTURES]

texts = st.one_of(st.none(), st.sampled_from(["", "a", "ab aab", " b\n", "é</think> 🦜"]), st.text(max_size=8))
rows: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.fixed_dictionaries(
        {
            "text": texts,
            "other": texts,
            "choice": st.sampled_from(["x", "y", "z", "other", None]),
            "score": st.sampled_from(["1", "2.5", "1.0", "nan", "none", "", None]),
            "number": st.one_of(st.none(), st.floats(width=16), st.sampled_from([1.0, 2.0])),
            "count": st.one_of(st.none(), st.integers(-2, 2), st.just(2**53 + 1)),
            "flag": st.sampled_from([True, False, None]),
            "messages": st.sampled_from([None, [], [{"role": "user", "content": "hi"}], [{"role": None, "content": "hi"}]]),
            "nested": st.sampled_from([None, {"a": [], "b": None}, {"a": [1, None], "b": "é"}, {"a": None, "b": "é"}]),
            "weights": st.sampled_from([None, {"p": 1.0, "q": None}, {"p": 0.0, "q": 2.0}, {"p": -1.0}]),
            "said": st.sampled_from([None, {"messages": None}, {"messages": [{"role": "assistant", "content": "hi"}]}]),
            "nothing": st.none(),
        }
    ),
    max_size=7,
)

PLAIN: dict[str, Any] = {
    "text": "a",
    "other": "b",
    "choice": "x",
    "score": "1",
    "number": 1.5,
    "count": 3,
    "flag": True,
    "nested": {"a": [1], "b": "é"},
}
AWKWARD: list[dict[str, Any]] = [
    PLAIN,
    {"text": None, "other": None, "choice": None, "score": None, "number": None, "count": None, "flag": None, "nested": None},
    {
        "text": "🦜 ab\u2028é",
        "other": "",
        "choice": "y",
        "score": "two",
        "number": float("nan"),
        "flag": False,
        "nested": {"a": None},
    },
    {
        "text": "x</think> a",
        "other": "b",
        "choice": "z",
        "score": "2.5",
        "number": 1.5,
        "messages": [{"role": "user", "content": "é"}],
    },
    PLAIN,
]


@dataclass(frozen=True)
class Example:
    """An example of a block type, and a model for it."""

    block: Block
    replies: Callable[[str], Reply]


def example_of(name: str, config: Mapping[str, Any]) -> Example:
    cls = find_block(name)
    assert cls is not None
    replies = {"PRMBlock": scores, "AgentBlock": agent, "MCPAgentBlock": tools, "HoldConversation": tools}
    return Example(cls.model_validate({"block_name": f"my {name}", **config}), replies.get(name, chat))


def chat(prompt: str) -> Reply:
    """Reply in one of the ways of models, decided by the prompt."""
    told = Choice("<q>told</q><a>é</a>", logprobs=[{"<q>": -0.5}])
    ways: list[Reply] = [
        "<q>é b</q><a>1</a><q></q> <a>2</a><q>third</q>",
        "nothing to find",
        "",
        [None, "<q>x</q><a>y</a>"],
        Failure("ContentFiltered", "refused", transient=False),
        Completion((told, told), tokens_in=3, tokens_out=2, cost_usd=None),
    ]
    return ways[int(digest(prompt, size=2), 16) % len(ways)]


def scores(prompt: str) -> Reply:
    ways: list[Reply] = ["[1, 0]", "[0.25]", "[]", Failure("OverLong", "too long", transient=False)]
    return ways[int(digest(prompt, size=2), 16) % len(ways)]


def agent(prompt: str) -> Reply:
    said = {"messages": [{"id": "m", "role": "assistant", "content": prompt}], "custom_outputs": None}
    ways: list[Reply] = [json.dumps(said), '{"messages": []}', Failure("NoAnswer", "nothing", transient=False)]
    return ways[int(digest(prompt, size=2), 16) % len(ways)]


def tools(prompt: str) -> Reply:
    """Reply as a model that calls tools does, and as the tools: these are asked without a message."""
    if not prompt:
        return "[]"
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    ways: list[Reply] = ["done", Completion((Choice(None, tool_calls=[call]),)), Failure("OverLong", "too long", transient=False)]
    return ways[int(digest(prompt, size=2), 16) % len(ways)]


def table_of(values: list[dict[str, Any]]) -> pa.Table:
    table = pa.Table.from_pylist(values, schema=SCHEMA)
    return with_ids(table, seed_ids(table.to_pylist()))


def content(result: BlockResult) -> str:
    return repr((result.table.to_pylist(), result.rejects, result.counts))


def built_in() -> list[str]:
    found = {name: find_block(name) for name in block_names()}
    return [name for name, cls in found.items() if cls is not None and cls.__module__.startswith("sdg_prefect.")]


@pytest.mark.parametrize("name", built_in())
def test_a_block_type_keeps_to_the_standards_on_its_example(name: str) -> None:
    cls = find_block(name)
    assert cls is not None
    assert cls.family in FAMILIES
    assert check_example(cls, elsewhere=False) == []


@pytest.mark.parametrize(("name", "config"), VARIANTS)
def test_a_block_type_keeps_to_the_standards_with_other_fields(name: str, config: Mapping[str, Any]) -> None:
    example = example_of(name, config)
    assert check_block(example.block, table_of(AWKWARD), example.replies, elsewhere=False) == []


@pytest.mark.parametrize("name", [name for name in built_in() if name != "JSONParserBlock"])
def test_the_types_of_what_an_example_gives_do_not_depend_on_its_rows(name: str) -> None:
    cls = find_block(name)
    assert cls is not None
    assert cls.example is not None
    with cls.example.built(cls) as block:
        if not isinstance(block, StructureBlock):
            rows, replies = with_row_ids(awkward_rows(cls.example)), awkward_replies(cls.example)
            assert run_block(block, rows.slice(0, 0), replies).table.schema == run_block(block, rows, replies).table.schema


def test_blocks_survive_the_way_to_another_process_with_the_same_key() -> None:
    blocks = [example_of(name, config).block for name, config in VARIANTS]
    for name in built_in():
        cls = find_block(name)
        assert cls is not None
        assert cls.example is not None
        with cls.example.built(cls) as block:
            blocks.append(block)
    assert copy_elsewhere(blocks) == [(block, block.key({})) for block in blocks]


@pytest.mark.parametrize("name", built_in())
def test_the_schema_of_a_block_type_is_valid_json_schema(name: str) -> None:
    cls = find_block(name)
    assert cls is not None
    schema = json.loads(json.dumps(documented_schema(cls)))
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is (name == "LLMChatBlock")  # servers have parameters of their own
    assert all(field.get("description") for field in schema["properties"].values())


@pytest.mark.parametrize(("name", "config"), RUNNING)
@settings(max_examples=12)
@given(values=rows, shard_size=st.integers(1, 4))
def test_every_row_is_accounted_for_whatever_the_rows_and_the_shards(
    name: str, config: Mapping[str, Any], values: list[dict[str, Any]], shard_size: int
) -> None:
    example = example_of(name, config)
    table = table_of(values)
    whole = run_block(example.block, table, example.replies)
    assert whole.counts.is_conserved
    assert whole.counts.rows_in == len(values)
    assert whole.counts.rows_out == len(whole.rows)
    assert len(set(whole.ids)) == len(whole.ids)
    assert whole.columns == list(example.block.columns_after(Columns(tuple(SCHEMA.names))).names)
    assert content(run_block(example.block, table, example.replies, shard_size=shard_size)) == content(whole)


@pytest.mark.parametrize(("name", "config"), [example for example in RUNNING if example[0] != "JSONParserBlock"])
def test_the_types_of_the_output_do_not_depend_on_the_values(name: str, config: Mapping[str, Any]) -> None:
    example = example_of(name, config)
    full = run_block(example.block, table_of(AWKWARD), example.replies)
    none = run_block(example.block, table_of([]), example.replies)
    assert none.table.schema == full.table.schema
    assert none.rows == []


@pytest.mark.parametrize(("name", "config"), VARIANTS)
def test_the_name_of_a_block_is_not_in_its_key_and_every_field_is(name: str, config: Mapping[str, Any]) -> None:
    block = example_of(name, config).block
    assert block.model_copy(update={"block_name": "another"}).key({}) == block.key({})
    assert block.key({}) == type(block).model_validate({"block_name": "again", **config}).key({})
    keys = {example_of(known, other).block.key({}) for known, other in VARIANTS}
    assert len(keys) == len(VARIANTS)


@pytest.mark.parametrize("name", [name for name in built_in() if name != "LLMChatBlock"])
def test_a_block_type_refuses_a_field_that_it_does_not_have(name: str) -> None:
    cls = find_block(name)
    assert cls is not None
    assert cls.example is not None
    with (
        pytest.raises(ValueError, match="no_such_field"),
        replace(cls.example, config={**cls.example.config, "no_such_field": 1}).built(cls),
    ):
        pass


def test_blocks_that_are_made_of_blocks_are_left_to_the_plan() -> None:
    for name in STRUCTURES:
        cls = find_block(name)
        assert cls is not None
        assert issubclass(cls, StructureBlock)
