"""Sending columns of chat messages, and scoring answers step by step."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.chat import LLMMessagesBlock, OpenAIAsyncChatBlock, OpenAIChatBlock
from sdg_prefect.blocks.reward import PRMBlock
from sdg_prefect.models.completion import Choice, Completion, Failure
from sdg_prefect.testing import run_block

HI = [{"role": "user", "content": "hi"}]


def send(**fields: Any) -> LLMMessagesBlock:
    return LLMMessagesBlock.model_validate(
        {"block_name": "send", "model_id": "m", "input_col": "in", "output_col": "out", **fields}
    )


def openai(kind: type[Any] = OpenAIChatBlock, **fields: Any) -> Any:
    return kind.model_validate({"block_name": "chat", "model_id": "m", "input_cols": ["in"], "output_cols": ["out"], **fields})


def test_one_row_stays_one_row_with_its_id_and_gets_the_reply() -> None:
    result = run_block(send(), [{"in": HI}], ["hello "])
    assert (result.rows[0]["out"], result.ids) == ("hello ", list(result.parents))


def test_messages_go_as_they_are_without_their_nulls() -> None:
    rows = [
        {"in": HI},
        {"in": [{"role": "system", "content": "s", "name": None}, {"role": "user", "content": "x", "name": "me"}]},
    ]
    result = run_block(send(), rows, ["a", "b"])
    assert result.requests[0].messages == HI
    assert result.requests[1].messages == [{"role": "system", "content": "s"}, {"role": "user", "content": "x", "name": "me"}]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "holds no list of messages here"),
        ([], "holds no list of messages here"),
        ("hi", "holds no list of messages here"),
        ([{"content": "hi"}], "holds a message without a role"),
        ([{"role": None, "content": "hi"}], "holds a message without a role"),
        (["hi"], "holds a message without a role"),
        ([{"role": "user", "content": None}], "holds a message without content"),
    ],
)
def test_what_is_no_list_of_messages_is_rejected_without_a_call(value: Any, reason: str) -> None:
    result = run_block(send(), [{"in": value}])
    assert [(reject.error, reject.message) for reject in result.rejects] == [("BadMessages", f"column 'in' {reason}.")]
    assert result.requests == ()


def test_several_samples_become_a_list() -> None:
    result = run_block(send(gen_kwargs={"n": 2}), [{"in": HI}], [["a", None]])
    assert result.rows[0]["out"] == ["a", ""]
    assert result.counts.rows_out == 1


@pytest.mark.parametrize(("given", "sent"), [({}, 0), ({"n": 2}, 0.7), ({"n": 2, "temperature": 1.2}, 1.2), ({"n": 1}, 0.7)])
def test_several_samples_are_not_asked_at_temperature_zero(given: dict[str, Any], sent: float) -> None:
    assert run_block(send(gen_kwargs=given), [{"in": HI}], ["a"]).requests[0].params["temperature"] == sent


def test_a_failed_call_rejects_its_row_alone() -> None:
    result = run_block(send(), [{"in": HI}] * 2, [Failure("OverLong", "too long", transient=False), "b"])
    assert ([row["out"] for row in result.rows], result.rejects[0].error) == (["b"], "OverLong")


def test_a_shard_whose_rows_are_all_rejected_has_the_type_of_the_others() -> None:
    block = send(gen_kwargs={"n": 2})
    result = run_block(block, [{"in": HI}, {"in": HI}], [Failure("X", "x", transient=False), ["a", "b"]], shard_size=1)
    assert [row["out"] for row in result.rows] == [["a", "b"]]


@pytest.mark.parametrize("kind", [OpenAIChatBlock, OpenAIAsyncChatBlock])
def test_only_the_first_of_several_replies_is_kept(kind: type[Any]) -> None:
    assert run_block(openai(kind, n=2), [{"in": HI}], [["a", "b"]]).rows[0]["out"] == "a"


def test_parameters_beside_the_columns_are_sent_and_gen_kwargs_win() -> None:
    block = openai(
        temperature=0.5, stop="x", seed=1, stream=True, gen_kwargs={"seed": 2, "nosuch": 1, "stream": True, "top_p": None}
    )
    result = run_block(block, [{"in": HI}], ["a"])
    assert result.requests[0].params == {"temperature": 0.5, "stop": ["x"], "seed": 2}
    assert list(block.doubts(Columns())) == ["unknown sampling parameter(s) without effect: nosuch."]


def test_one_column_is_used_of_several() -> None:
    block = openai(input_cols=["in", "more"], output_cols="out")
    assert list(block.reads()) == ["in"]
    assert list(block.writes()) == ["out"]
    assert list(block.doubts(Columns())) == ["only the first of 'input_cols' is used: 'in'."]


def test_no_column_at_all_is_refused() -> None:
    with pytest.raises(ValidationError):
        openai(input_cols=[])


TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CALLED = Completion((Choice(None, "tool_calls", tool_calls=[CALL]),))


@pytest.mark.parametrize("tools", [[TOOL], '[{"name": "look", "parameters": {"type": "object"}}]'])
def test_each_row_offers_its_own_tools_and_their_calls_are_kept(tools: Any) -> None:
    block = send(tools_col="tools", tool_calls_col="calls", gen_kwargs={"tool_choice": "auto"})
    result = run_block(block, [{"in": HI, "tools": tools}], [CALLED])
    assert result.requests[0].params["tools"] == [TOOL]
    assert (result.rows[0]["out"], result.rows[0]["calls"]) == ("", [CALL])
    assert list(block.reads()) == ["in", "tools"]


@pytest.mark.parametrize("tools", [None, "", "[]"])
def test_a_row_without_tools_says_nothing_about_them(tools: Any) -> None:
    block = send(tools_col="tools", tool_calls_col="calls", gen_kwargs={"tool_choice": "auto", "parallel_tool_calls": False})
    result = run_block(block, [{"in": HI, "tools": tools}], ["hello"])
    assert result.requests[0].params == {"temperature": 0, "max_tokens": 4096}
    assert result.rows[0]["calls"] == []


def test_tools_that_cannot_be_read_cost_no_call() -> None:
    result = run_block(send(tools_col="tools"), [{"in": HI, "tools": "[{}]"}])
    assert (result.rejects[0].error, result.requests) == ("BadTools", ())


def test_calls_of_several_replies_are_lists_and_chat_blocks_of_openai_keep_those_of_the_first() -> None:
    two = Completion((*CALLED.choices, Choice("no", "stop")))
    assert run_block(send(tool_calls_col="calls", gen_kwargs={"n": 2}), [{"in": HI}], [two]).rows[0]["calls"] == [[CALL], []]
    made = run_block(openai(tool_calls_col="calls", tools=[TOOL]), [{"in": HI}], [two])
    assert (made.rows[0]["calls"], made.requests[0].params["tools"]) == ([CALL], (TOOL,))


def test_calls_that_are_not_kept_are_told_before_they_are_paid() -> None:
    for block in (send(tools_col="t"), send(gen_kwargs={"tools": [TOOL]}), openai(tools=[TOOL])):
        assert any("its calls are not kept" in doubt for doubt in block.doubts(Columns()))
    assert list(send(tools_col="t", tool_calls_col="c").doubts(Columns())) == []


def test_a_reply_without_choices_is_an_empty_text() -> None:
    assert run_block(openai(), [{"in": HI}], [Completion(())]).rows[0]["out"] == ""


def score(**fields: Any) -> PRMBlock:
    base = {"block_name": "score", "host": "judge", "model_name": "prm", "prompt_col": "q", "response_col": "a"}
    return PRMBlock.model_validate({**base, **fields})


def test_every_step_of_an_answer_is_followed_by_the_token_that_is_scored() -> None:
    result = run_block(score(system_prompt="S"), [{"q": "why", "a": "one\n\n two \n\n\n\nthree"}], ["[0.5, 1, 0]"])
    assert result.requests[0].messages == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "why"},
        {"role": "assistant", "content": "one<extra_0>two<extra_0>three<extra_0>"},
    ]
    assert result.rows[0]["step_rewards"] == [0.5, 1.0, 0.0]


def test_steps_and_their_token_can_be_told() -> None:
    block = score(step_separator=";", step_fill_token="<s>", output_col="r")
    result = run_block(block, [{"q": 1, "a": "x;y"}], ["[1, 1]"])
    assert result.requests[0].messages == [{"role": "user", "content": "1"}, {"role": "assistant", "content": "x<s>y<s>"}]
    assert list(result.rows[0]) == ["q", "a", "r"]


def test_a_score_that_cannot_be_had_rejects_the_row() -> None:
    result = run_block(score(), [{"q": "a", "a": "b"}], [Failure("Unreachable", "gone", transient=True)])
    assert (result.rejects[0].error, result.rejects[0].transient) == ("Unreachable", True)


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({}, "http://judge:8000/pooling"),
        ({"host": "https://judge/", "port": "9", "endpoint": "/v1/pool/"}, "https://judge:9/v1/pool"),
    ],
)
def test_a_reward_model_brings_its_own_endpoint(fields: dict[str, Any], address: str) -> None:
    block = score(**fields)
    ((model_id, endpoint),) = block.own_endpoints().items()
    assert [model_id] == list(block.model_ids())
    assert (endpoint.model, endpoint.api_base, endpoint.client) == ("prm", address, "pooling")
