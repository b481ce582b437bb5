"""Whole replies of a model, in the way of sdg_hub 0.9, and what is taken out of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.extractors import LLMResponseExtractorBlock
from sdg_prefect.blocks.llm_chat import LLMChatBlock
from sdg_prefect.models.completion import Choice, Completion, Failure
from sdg_prefect.testing import run_block

HI = [{"role": "user", "content": "hi"}]
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}, "index": 0}


def chat(**fields: Any) -> LLMChatBlock:
    return LLMChatBlock.model_validate({"block_name": "chat", "input_cols": "in", "output_cols": ["out"], **fields})


def extract(**fields: Any) -> LLMResponseExtractorBlock:
    return LLMResponseExtractorBlock.model_validate({"block_name": "take", "input_cols": "out", **fields})


def doubts(block: LLMChatBlock) -> list[str]:
    return list(block.doubts(Columns(("in",))))


def test_a_reply_is_a_list_of_one_message_with_all_its_parts() -> None:
    answer = Completion((Choice(" yes ", "stop", "hm", tool_calls=[CALL]), Choice("no")))
    assert run_block(chat(), [{"in": HI}], [answer]).rows[0]["out"] == [
        {
            "role": "assistant",
            "content": " yes ",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": CALL["function"]}],
        }
    ]


def test_n_replies_are_a_list_of_n() -> None:
    result = run_block(chat(n=2), [{"in": HI}], [["a", None]])
    assert [message["content"] for message in result.rows[0]["out"]] == ["a", None]


def test_parameters_stand_among_the_fields_and_nothing_else_is_sent() -> None:
    result = run_block(
        chat(temperature=0.5, stop="x", async_mode=True, num_retries=3, reasoning_effort="low"), [{"in": HI}], ["a"]
    )
    assert result.requests[0].params == {"temperature": 0.5, "stop": ["x"], "reasoning_effort": "low"}


def test_ids_of_tokens_may_be_numbers_as_yaml_reads_them() -> None:
    assert run_block(chat(logit_bias={5: 1}), [{"in": HI}], ["a"]).requests[0].params == {"logit_bias": {"5": 1}}


def test_a_message_that_only_calls_tools_needs_no_content() -> None:
    asked = [*HI, {"role": "assistant", "content": None, "tool_calls": [CALL]}, {"role": "tool", "content": "x"}]
    assert run_block(chat(), [{"in": asked}], ["a"]).counts.rejected == 0


def test_max_completion_tokens_takes_the_place_of_max_tokens() -> None:
    block = chat(max_tokens=5, max_completion_tokens=7, n=2)
    assert run_block(block, [{"in": HI}], ["a"]).requests[0].params == {"max_completion_tokens": 7, "n": 2}
    assert block.most_tokens_per_call() == 14


def test_a_field_that_nobody_knows_goes_to_the_server_with_a_warning() -> None:
    block = chat(temprature=0.5, top_k=4)
    assert run_block(block, [{"in": HI}], ["a"]).requests[0].params == {"extra_body": {"temprature": 0.5, "top_k": 4}}
    assert doubts(block) == ["'temprature' is sent to the server as it is. Did you mean 'temperature'?"]


@pytest.mark.parametrize(
    ("fields", "model_id", "endpoint"),
    [
        ({"model": "openai/gpt-4o"}, "openai/gpt-4o", ("openai/gpt-4o", None, None, 120.0)),
        (
            {"model": "m", "api_base": "http://me:pw@host/v1", "api_key": "${KEY}", "timeout": 5},
            "m@http://host/v1",
            ("m", "http://me:pw@host/v1", "KEY", 5.0),
        ),
        ({}, "default", None),
    ],
    ids=["provider", "server", "nothing"],
)
def test_the_model_may_say_where_it_is_served(fields: dict[str, Any], model_id: str, endpoint: Any) -> None:
    block = chat(**fields)
    own = block.own_endpoints().get(model_id)
    assert list(block.model_ids()) == [model_id]
    assert (own and (own.model, own.api_base, own.api_key_env, own.timeout)) == endpoint


@pytest.mark.parametrize("field", [{"api_key": "sk-123"}, {"aws_secret_access_key": "x"}, {"api_key": "NAME"}])
def test_a_key_in_a_flow_is_refused(field: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="a key must not stand in a file"):
        chat(**field)


def test_where_a_model_is_served_and_how_it_is_called_is_not_in_the_key() -> None:
    plain = chat(model="m").key({"m": "m"})
    served = chat(model="m", api_base="http://host/v1", api_key="${KEY}", timeout=3, async_mode=True, num_retries=1)
    assert served.key({"m@http://host/v1": "m"}) == plain
    assert chat(model="m", temperature=1).key({"m": "m"}) != plain


def test_a_timeout_without_a_model_is_doubted() -> None:
    assert doubts(chat(timeout=5)) == [
        "'timeout' has no effect, as the block names no model; say it at the model, under 'models:'."
    ]


def test_what_is_no_list_of_messages_and_what_fails_is_rejected() -> None:
    rows: list[dict[str, Any]] = [{"in": HI}, {"in": []}, {"in": HI}]
    result = run_block(chat(), rows, [Failure("TooLong", "too long", transient=False), "b"])
    assert [reject.error for reject in result.rejects] == ["TooLong", "BadMessages"]
    assert len(result.rows) == 1


def replies(*texts: str | None, **parts: Any) -> dict[str, Any]:
    return {"out": [{"role": "assistant", "content": text, **parts} for text in texts]}


def test_each_reply_gives_a_row_and_no_content_is_an_empty_text() -> None:
    result = run_block(extract(), [{"id": 1, **replies("a", None)}, {"id": 2, **replies("b")}])
    assert [(row["id"], row["take_content"]) for row in result.rows] == [(1, "a"), (1, ""), (2, "b")]
    assert len(set(result.ids)) == 3


def test_without_expanding_replies_stay_in_lists() -> None:
    result = run_block(extract(expand_lists=False, field_prefix="x_"), [replies("a", "b")])
    assert result.rows[0]["x_content"] == ["a", "b"]


def test_a_single_message_is_taken_as_it_is() -> None:
    assert run_block(extract(expand_lists=False), [{"out": {"content": "a"}}]).rows[0]["take_content"] == "a"


def test_reasoning_and_tool_calls_have_columns_of_their_own() -> None:
    answer = Completion((Choice(None, reasoning="hm", tool_calls=[CALL]), Choice("b")))
    made = run_block(chat(n=2), [{"in": HI}], [answer])
    result = run_block(extract(extract_reasoning_content=True, extract_tool_calls=True), made.rows)
    assert [(row["take_content"], row["take_reasoning_content"]) for row in result.rows] == [("", "hm"), ("b", None)]
    assert [len(row["take_tool_calls"]) for row in result.rows] == [1, 0]
    assert result.rows[0]["take_tool_calls"][0]["function"] == CALL["function"]


@pytest.mark.parametrize("value", [None, [], [{"role": "assistant", "content": "a", "reasoning_content": None}]])
def test_a_row_without_what_is_taken_is_rejected(value: Any) -> None:
    result = run_block(extract(extract_content=False, extract_reasoning_content=True), [{"out": value}])
    assert ([reject.error for reject in result.rejects], result.rows) == (["NothingFound"], [])


def test_an_extractor_that_takes_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="takes nothing out of the replies"):
        extract(extract_content=False)
