"""Agents asked about rows, and what is taken out of their replies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.agents import AgentBlock
from sdg_prefect.blocks.extractors import AgentResponseExtractorBlock
from sdg_prefect.models.completion import Failure
from sdg_prefect.testing import run_block

CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"}}
SAID = {
    "messages": [
        {"id": "m0", "role": "assistant", "content": "", "tool_calls": [CALL]},
        {"id": "m1", "role": "tool", "name": "look", "tool_call_id": "c", "content": "sky"},
        {"id": "m2", "role": "assistant", "content": "blue"},
        {"id": "m3", "role": "assistant", "content": ""},
    ],
    "custom_outputs": {"session_id": "s"},
}
REPLY = json.dumps(SAID)


def agent(**fields: Any) -> AgentBlock:
    usual = {"block_name": "ask", "agent_framework": "langflow", "agent_url": "http://me:pw@host/run", "input_cols": "q"}
    return AgentBlock.model_validate({**usual, "output_cols": "reply", **fields})


def take(reply: Any, **fields: Any) -> Any:
    block = AgentResponseExtractorBlock.model_validate({"block_name": "take", "input_cols": "reply", **fields})
    return run_block(block, [{"reply": reply}])


def test_the_reply_is_kept_with_its_messages_and_session() -> None:
    row = run_block(agent(), [{"q": "colour?"}], [REPLY]).rows[0]
    assert [message["role"] for message in row["reply"]["messages"]] == ["assistant", "tool", "assistant", "assistant"]
    assert row["reply"]["messages"][0]["tool_calls"] == [CALL]
    assert row["reply"]["custom_outputs"] == {"session_id": "s"}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("hi", [{"role": "user", "content": "hi"}]),
        ({"role": "system", "content": "be"}, [{"role": "system", "content": "be"}]),
        ([{"role": "user", "content": "a"}, {"role": "tool", "content": None}], [{"role": "user", "content": "a"}, {"role": "tool", "content": ""}]),
        (7, [{"role": "user", "content": "7"}]),
    ],
)  # fmt: skip
def test_what_is_asked_may_be_a_text_a_message_or_several(value: Any, sent: Any) -> None:
    assert run_block(agent(), [{"q": value}], [REPLY]).requests[0].messages == sent


def test_a_row_is_a_session_unless_a_column_says_which() -> None:
    first = run_block(agent(), [{"q": "a"}], [REPLY])
    assert first.requests[0].params == {"session_id": first.parents[0]}
    named = run_block(agent(session_id_col="s"), [{"q": "a", "s": 3}], [REPLY])
    assert named.requests[0].params == {"session_id": "3"}


def test_columns_may_be_mappings() -> None:
    block = agent(input_cols={"messages": "q"}, output_cols={"out": "x"})
    assert (list(block.reads()), list(block.writes())) == (["q"], ["out"])


def test_the_block_says_where_its_agent_is_and_which_variable_has_the_key() -> None:
    block = agent(agent_api_key="${FLOW_KEY}", timeout=5, max_concurrency=2)
    (endpoint,) = block.own_endpoints().values()
    assert (endpoint.agent, endpoint.api_base, endpoint.api_key_env) == ("langflow", "http://me:pw@host/run", "FLOW_KEY")
    assert (endpoint.timeout, endpoint.max_concurrency) == (5, 2)
    assert "pw" not in str(list(block.model_ids()))
    assert block.key({}) == agent(timeout=9, agent_api_key="${OTHER}").key({})


def test_a_failed_agent_and_nothing_to_ask_reject_their_rows() -> None:
    result = run_block(agent(), [{"q": "a"}, {"q": None}], [Failure("NoAnswer", "none", transient=False)])
    assert [reject.error for reject in result.rejects] == ["NoAnswer", "BadMessages"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"agent_framework": "langflw"}, "langflow"),
        ({"agent_api_key": "sk-1"}, "a key must not stand in a file"),
        ({"agent_framework": "langgraph", "connector_kwargs": {"asistant_id": "x"}}, "Did you mean 'assistant_id'?"),
        ({"agent_framework": "generic_http"}, "'request_message_path' is missing"),
        (
            {"agent_framework": "generic_http", "connector_kwargs": {"request_message_path": "a..b", "response_text_path": "c"}},
            "keys with dots between them",
        ),
        (
            {
                "agent_framework": "generic_http",
                "connector_kwargs": {"request_message_path": "a", "request_session_id_path": "a.b", "response_text_path": "c"},
            },
            "must not be one inside the other",
        ),
    ],
)
def test_what_is_wrong_is_found_before_anything_runs(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as told:
        agent(**fields)
    assert said in str(told.value)


def test_the_last_words_the_session_and_the_trace_are_taken() -> None:
    (row,) = take(SAID, extract_session_id=True, extract_tool_trace=True).rows
    assert (row["take_text"], row["take_session_id"]) == ("blue", "s")
    assert [message["role"] for message in row["take_tool_trace"]] == ["assistant", "tool"]


def test_what_only_some_replies_have_is_null_and_a_reply_with_nothing_rejects_its_row() -> None:
    plain = {"messages": [{"role": "assistant", "content": "hm"}]}
    assert take(plain, extract_tool_trace=True, field_prefix="x_").rows[0]["x_tool_trace"] is None
    assert [reject.error for reject in take(plain, extract_text=False, extract_session_id=True).rejects] == ["NothingFound"]
    assert take([SAID, plain]).rows[1]["take_text"] == "hm"
    assert take([SAID, plain], expand_lists=False).rows[0]["take_text"] == ["blue", "hm"]
