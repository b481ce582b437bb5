"""Two models that talk with each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.conversations import HoldConversation
from sdg_prefect.blocks.format_messages import FormatMessages
from sdg_prefect.blocks.tool_calls import CheckToolCalls
from sdg_prefect.models.completion import Choice, Completion, Failure, Request
from sdg_prefect.testing import BlockResult, run_block


def talk(reply: Any, rows: list[dict[str, Any]] | None = None, **config: Any) -> BlockResult:
    given = {
        "block_name": "t",
        "model_id": "teacher",
        "user_model_id": "student",
        "user_system": "You ask about {{ topic }}.",
        **config,
    }
    return run_block(HoldConversation.model_validate(given), rows or [{"topic": "bees"}], reply)


def said(request: Request) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in request.messages or ()]


def test_user_and_assistant_speak_in_turns_and_each_sees_its_side() -> None:
    made = talk(["q1", "a1", "q2", "a2"], turns=2, system="Be brief about {{ topic }}.")
    assert [(one["role"], one["content"]) for one in made.rows[0]["messages"]] == [
        ("system", "Be brief about bees."), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")
    ]  # fmt: skip
    first, second, third, fourth = made.requests
    assert [request.model_id for request in made.requests] == ["student", "teacher", "student", "teacher"]
    assert said(first) == [("user", "You ask about bees.")]
    assert said(second) == [("system", "Be brief about bees."), ("user", "q1")]
    assert said(third) == [("system", "You ask about bees."), ("assistant", "q1"), ("user", "a1")]
    assert said(fourth) == [("system", "Be brief about bees."), ("user", "q1"), ("assistant", "a1"), ("user", "q2")]
    assert len({request.key("") for request in made.requests}) == 4


def test_the_first_message_can_come_from_a_column() -> None:
    made = talk(["a1"], [{"topic": "bees", "first": "Why?"}], turns=1, opening_col="first")
    assert [one["content"] for one in made.rows[0]["messages"]] == ["Why?", "a1"]
    assert talk([], [{"topic": "bees", "first": " "}], turns=1, opening_col="first").rejects[0].error == "NothingSaid"


def test_the_user_ends_the_conversation_by_the_closing_words() -> None:
    made = talk(["q1", "a1", "Thanks [END]"], turns=5, closing="[END]")
    assert [one["content"] for one in made.rows[0]["messages"]] == ["q1", "a1"]
    assert talk(["[END]"], closing="[END]").rejects[0].message == "the user ended the conversation before it began."


def test_rows_go_on_without_those_that_fail() -> None:
    def reply(prompt: str) -> Any:
        if "cows" in prompt:
            return Failure("OverLong", "no", transient=False)
        return (
            ""
            if "cats" in prompt and "q" in prompt.rsplit("\n", maxsplit=1)[-1]
            else "q"
            if prompt.startswith("You ask")
            else "a"
        )

    made = talk(reply, [{"topic": "cows"}, {"topic": "bees"}, {"topic": "cats"}], turns=1, system="On {{ topic }}")
    assert [row["topic"] for row in made.rows] == ["bees"]
    assert [(reject.row["topic"], reject.error) for reject in made.rejects] == [("cows", "OverLong"), ("cats", "NothingSaid")]


def test_calls_are_told_beforehand_and_templates_are_checked() -> None:
    block = HoldConversation(block_name="t", model_id="m", user_model_id="m", user_system="x", turns=4, opening_col="first")
    assert (block.calls_per_row(), list(block.model_ids())) == (7, ["m"])
    with pytest.raises(ValidationError, match="the template is wrong"):
        talk([], user_system="{{ topic")


WEATHER = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PING = {"name": "ping"}
TOOLS = json.dumps([WEATHER, PING])


def calls(*named: tuple[str, str], text: str | None = None) -> Completion:
    """Reply with calls of tools, as a server does."""
    made = [
        {"id": f"c{place}-{arguments}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for place, (name, arguments) in enumerate(named)
    ]
    return Completion((Choice(text, "tool_calls", tool_calls=made),))


def with_tools(reply: Any, row: dict[str, Any] | None = None, **config: Any) -> BlockResult:
    given = {"tools_col": "tools", "tool_model_id": "tools", "turns": 1, "opening_col": "first", **config}
    return talk(reply, [{"topic": "rain", "first": "Rain in Cork?", "tools": TOOLS, **(row or {})}], **given)


def shape(messages: list[dict[str, Any]]) -> list[Any]:
    """Say of each message what it does."""
    return [[call["function"]["name"] for call in one["tool_calls"]] if one["tool_calls"] else one["content"] for one in messages]


def test_a_model_plays_the_tools_that_the_assistant_calls_and_the_user_sees_nothing_of_it() -> None:
    cork, oslo = '{"city": "Cork"}', '{"city": "Oslo"}'
    made = with_tools(
        [calls(("get_weather", cork), ("get_weather", oslo)), '{"rain": 1}', '{"rain": 0}', "Yes.", "Thanks, and Bonn?", "No."],
        turns=2,
        tool_system="It is {{ topic }}.",
        gen_kwargs={"tool_choice": "auto", "temperature": 1},
    )
    messages = made.rows[0]["messages"]
    assert shape(messages) == [
        "Rain in Cork?", ["get_weather", "get_weather"], '{"rain": 1}', '{"rain": 0}', "Yes.", "Thanks, and Bonn?", "No."
    ]  # fmt: skip
    ids = [call["id"] for call in messages[1]["tool_calls"]]
    assert [(one["role"], one["tool_call_id"], one["name"]) for one in messages[2:4]] == [("tool", i, "get_weather") for i in ids]
    assistant, first, second, again, user, last = made.requests
    assert [request.model_id for request in made.requests] == ["teacher", "tools", "tools", "teacher", "student", "teacher"]
    assert [tool["function"]["name"] for tool in assistant.params["tools"]] == ["get_weather", "ping"]
    assert assistant.params["tool_choice"] == last.params["tool_choice"] == "auto"
    assert all(request.params == {"temperature": 1, "max_tokens": 4096} for request in (first, second, user))
    assert said(first)[0][1].startswith("It is rain.\n\nThe tools:\n[{")
    assert [text for _, text in said(second)[1:]] == ['{"name": "get_weather", "arguments": {"city": "Oslo"}}']
    assert [message["role"] for message in again.messages or ()] == ["user", "assistant", "tool", "tool"]
    assert said(user) == [("system", "You ask about rain."), ("assistant", "Rain in Cork?"), ("user", "Yes.")]


def test_the_tools_remember_what_they_returned() -> None:
    made = with_tools([calls(("ping", "")), "1", calls(("ping", "{}"), text="Again."), "2", "Done."])
    assert [role for role, _ in said(made.requests[3])] == ["system", "user", "assistant", "user"]
    assert said(made.requests[3])[2] == ("assistant", "1")
    assert shape(made.rows[0]["messages"]) == ["Rain in Cork?", ["ping"], "1", ["ping"], "2", "Done."]


def test_results_that_the_row_knows_are_not_asked_for() -> None:
    known = [
        {"name": "get_weather", "arguments": {"city": "Oslo"}, "result": {"rain": None, "wind": "größer"}},
        {"name": "get_weather", "arguments": '{"city": "Cork"}', "result": "wet"},
        {"name": "ping", "result": None},
    ]
    two = calls(("get_weather", '{"city":"Cork"}'), ("get_weather", '{"city": "Oslo"}'), ("ping", "{}"))
    made = with_tools([two, "Yes."], {"known": json.dumps(known)}, results_col="known", tool_model_id=None)
    assert shape(made.rows[0]["messages"])[2:] == ["wet", '{"rain": null, "wind": "größer"}', "null", "Yes."]
    bonn = calls(("get_weather", '{"city": "Bonn"}'))
    (lost,) = with_tools([bonn], {"known": json.dumps(known)}, results_col="known", tool_model_id=None).rejects
    assert (lost.error, lost.message) == ("NoResult", '\'known\' has no result for get_weather with {"city": "Bonn"}.')
    assert shape(with_tools([bonn, "dry", "No."], {"known": known[:1]}, results_col="known").rows[0]["messages"])[2] == "dry"


def test_a_call_that_does_not_fit_gets_an_error_and_no_model_is_asked() -> None:
    wrong = calls(("get_wether", "{}"), ("get_weather", '{"city": 3}'), ("get_weather", '{"city"'))
    made = with_tools([wrong, "Sorry."])
    errors = [json.loads(one["content"])["error"] for one in made.rows[0]["messages"] if one["role"] == "tool"]
    assert errors[0] == "there is no tool 'get_wether'. Did you mean 'get_weather'?"
    assert "3 is not of type 'string'" in errors[1]
    assert "no JSON" in errors[2]
    assert [request.model_id for request in made.requests] == ["teacher", "teacher"]
    seen = with_tools([wrong, calls(("ping", "")), "pong", "Sorry."]).requests[2]
    assert [role for role, _ in said(seen)] == ["system", *["user", "assistant"] * 3, "user"]


def test_a_conversation_whose_tools_come_to_no_end_is_rejected_once() -> None:
    made = with_tools(lambda prompt: "1" if "The tools:" in prompt else calls(("ping", "{}")), tool_rounds=2)
    assert [(one.error, one.message) for one in made.rejects] == [
        ("NoAnswer", "after 2 rounds of calls the assistant wants more.")
    ]
    assert len(made.requests) == 3 + 2
    failed = Failure("OverLong", "no", transient=False)
    two = with_tools([calls(("ping", "{}"), ("ping", "{}")), failed, failed])
    assert [one.error for one in two.rejects] == ["OverLong"]
    (silent,) = with_tools([calls(("ping", "{}")), " "]).rejects
    assert (silent.error, silent.message) == ("NothingSaid", "the tools returned nothing for ping with {}.")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"tools": "ping()"}, "no JSON"),
        ({"tools": '[{"name": "a", "parameters": {"type": "text"}}]'}, "the parameters of 'a' are not a JSON Schema"),
        ({"known": '[{"ping": 1}]'}, "a result is an object with the 'name' of its tool and 'result'"),
    ],
)
def test_tools_and_results_that_make_no_sense_cost_no_call(row: dict[str, Any], said: str) -> None:
    made = with_tools([], {"known": None, **row}, results_col="known")
    assert [one.error for one in made.rejects] == ["BadTools"]
    assert said in made.rejects[0].message


def test_a_row_without_tools_has_a_plain_conversation_beside_others() -> None:
    made = with_tools(["Maybe."], {"tools": None}, gen_kwargs={"tool_choice": "auto"})
    assert shape(made.rows[0]["messages"]) == ["Rain in Cork?", "Maybe."]
    assert not {"tools", "tool_choice"} & set(made.requests[0].params)


def test_tools_can_be_the_same_for_all_rows() -> None:
    made = with_tools([calls(("ping", "{}")), "1", "Yes."], tools_col=None, gen_kwargs={"tools": [PING]})
    assert shape(made.rows[0]["messages"]) == ["Rain in Cork?", ["ping"], "1", "Yes."]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"tool_model_id": None}, "nobody answers the calls of tools"),
        ({"tools_col": None}, "'tool_model_id' is about tools, and there are none"),
        ({"gen_kwargs": {"tools": [PING]}}, "not in both"),
        ({"tools_col": None, "gen_kwargs": {"tools": [{"ping": 1}]}}, "a tool is an object with 'name'"),
    ],
)
def test_tools_that_do_not_go_together_are_told(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        with_tools([], **config)


def test_messages_with_tools_go_on_in_other_blocks() -> None:
    wrong = calls(("ping", '{"loud": true}'))
    table = with_tools([calls(("ping", "{}")), "1", wrong, "Yes."]).table
    more = FormatMessages.model_validate(
        {"block_name": "f", "history_col": "messages", "turns": [{"role": "user", "content": "Thanks."}]}
    )
    assert shape(run_block(more, table).rows[0]["messages"])[-2:] == ["Yes.", "Thanks."]
    check = CheckToolCalls(block_name="c", calls_col="messages", tools_col="tools")
    assert "'loud' was unexpected" in run_block(check, table).rows[0]["misfit"]


def test_halves_of_characters_come_through_as_json_has_them_and_are_replaced_in_results() -> None:
    odd = [{"name": "look", "parameters": {"properties": {"at": {"type": "string"}}}}]
    known = '[{"name": "look", "arguments": {"at": "a"}, "result": {"seen": "\\ud83d"}}]'
    two = calls(("look", '{"at": "\\ud83d"}'), ("look", '{"at": "a"}'))
    made = with_tools([two, "1", "Done."], {"tools": json.dumps(odd), "known": known}, results_col="known")
    assert said(made.requests[1])[1][1] == '{"name": "look", "arguments": {"at": "\\ud83d"}}'
    assert shape(made.rows[0]["messages"])[2:4] == ["1", '{"seen": "?"}']
