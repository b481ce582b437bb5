"""A model that works with tools, round by round."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.mcp_agent import _NO_JSON, MCPAgentBlock
from sdg_prefect.models.completion import Choice, Completion, Failure
from sdg_prefect.testing import run_block
from sdg_prefect.testing.script import Reply

TOOL = {"type": "function", "function": {"name": "look", "description": "", "parameters": {}}}


def agent(**fields: Any) -> MCPAgentBlock:
    usual = {"block_name": "work", "input_cols": "q", "output_cols": "trace", "model": "m", "mcp_server_url": "http://tools/mcp"}
    return MCPAgentBlock.model_validate({**usual, **fields})


def wants(arguments: str = "{}") -> Completion:
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": arguments}}
    return Completion((Choice(None, tool_calls=[call]),))


def test_tools_are_listed_called_and_their_results_told_to_the_model() -> None:
    replies: list[Reply] = [json.dumps([TOOL]), wants('{"at": "sky"}'), '[{"type": "text", "text": "blue"}]', "It is blue."]
    result = run_block(agent(system_prompt="Look.", temperature=0.5), [{"q": "colour?"}], replies)
    trace = result.rows[0]["trace"]
    assert [message["role"] for message in trace["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert (trace["iterations"], trace["max_iterations_reached"]) == (2, False)
    listing, asked, called, again = result.requests
    assert listing.params == {"list_tools": True}
    assert asked.params == {"temperature": 0.5, "tools": [TOOL]}
    assert called.params == {"tool": "look", "arguments": {"at": "sky"}}
    assert again.messages is not None
    assert again.messages[-1] == {"role": "tool", "tool_call_id": "c", "content": '[{"type": "text", "text": "blue"}]'}


def test_rows_go_through_a_round_together_and_end_when_they_are_done() -> None:
    def reply(prompt: str) -> Reply:
        return "[]" if not prompt else wants() if "hard" in prompt and prompt.count("tool: ") < 2 else "done"

    result = run_block(agent(), [{"q": "easy"}, {"q": "hard"}], reply)
    assert [row["trace"]["iterations"] for row in result.rows] == [1, 3]
    assert [request.params.get("tool") for request in result.requests if not request.messages] == [None, None, "look", "look"]


def test_a_model_that_never_answers_is_stopped() -> None:
    trace = run_block(agent(max_iterations=2), [{"q": "x"}], lambda prompt: wants() if prompt else "[]").rows[0]["trace"]
    assert (trace["iterations"], trace["max_iterations_reached"]) == (2, True)


def test_equal_calls_of_one_row_are_calls_of_their_own() -> None:
    result = run_block(agent(max_iterations=3), [{"q": "x"}], lambda prompt: wants() if prompt else "[]")
    called = [request for request in result.requests if "tool" in request.params]
    assert len({request.key("m") for request in called}) == len(called) == 3
    assert called[0].params["arguments"] == {}


@pytest.mark.parametrize("written", ["no json", '{"at": ', "[1]"])
def test_arguments_that_are_no_json_call_nothing_and_the_model_is_told(written: str) -> None:
    both = Completion(
        (Choice(None, tool_calls=[*(wants(written).choices[0].tool_calls or ()), *(wants().choices[0].tool_calls or ())]),)
    )
    result = run_block(agent(), [{"q": "x"}], ["[]", both, "seen", "done"])
    *_, called, again = result.requests
    assert called.params == {"tool": "look", "arguments": {}}
    assert [message["content"] for message in (again.messages or ())[-2:]] == [_NO_JSON, "seen"]
    assert result.rows[0]["trace"]["messages"][-1]["content"] == "done"


@pytest.mark.parametrize("written", ["", " ", "null", "{}"])
def test_a_tool_may_be_called_without_arguments(written: str) -> None:
    called = run_block(agent(), [{"q": "x"}], ["[]", wants(written), "seen", "done"]).requests[2]
    assert called.params == {"tool": "look", "arguments": {}}


def test_what_a_model_thought_is_kept_and_sent_back_to_it() -> None:
    thinks = Completion((replace(wants().choices[0], reasoning="Look first."),))
    result = run_block(agent(), [{"q": "x"}], ["[]", thinks, "seen", "done"])
    assert (result.requests[-1].messages or ())[1]["reasoning_content"] == "Look first."
    assert [message["reasoning_content"] for message in result.rows[0]["trace"]["messages"]] == [None, "Look first.", None, None]


def test_a_conversation_goes_on_with_tools() -> None:
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "And?"}]
    result = run_block(agent(system_prompt="S"), [{"q": said}, {"q": []}], ["[]", "done"])
    assert result.requests[1].messages == [{"role": "system", "content": "S"}, *said]
    assert [message["content"] for message in result.rows[0]["trace"]["messages"]][-2:] == ["And?", "done"]
    assert [reject.error for reject in result.rejects] == ["BadMessages"]


@pytest.mark.parametrize("fails_at", [0, 1, 2], ids=["listing", "model", "tool"])
def test_whatever_fails_for_good_rejects_its_row_alone(fails_at: int) -> None:
    replies: list[Reply] = ["[]", wants(), "[]", "done"]
    replies[fails_at] = Failure("Timeout", "no reply", transient=True)
    result = run_block(agent(), [{"q": "x"}, {"q": None}], replies)
    assert [reject.error for reject in result.rejects] == ["Timeout", "BadMessages"]
    assert result.rows == []


def test_the_server_of_tools_stays_where_it_is_and_headers_hold_no_keys() -> None:
    block = agent(mcp_headers={"Authorization": "Bearer ${TOKEN}"})
    endpoint = block.own_endpoints()["mcp@http://tools/mcp"]
    assert (endpoint.client, endpoint.api_base) == ("mcp", "http://tools/mcp")
    assert block.key({}) == agent().key({})
    with pytest.raises(ValidationError, match="a key must not stand in a file"):
        agent(mcp_headers={"Authorization": "Bearer abc"})
