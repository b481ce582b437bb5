"""Rows in the forms that trainers read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.chat import LLMMessagesBlock
from sdg_prefect.blocks.format_messages import FormatMessages
from sdg_prefect.blocks.format_training import FormatForTuning, FormatPreference
from sdg_prefect.testing import BlockResult, run_block

ROW = {"q": "Who dances?", "a": "Bees.", "text": "A book", "why": "I know."}
TURNS = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{ q }}"}]


def messages(row: dict[str, Any], **config: Any) -> BlockResult:
    return run_block(FormatMessages.model_validate({"block_name": "m", "turns": TURNS, **config}), [row])


def tuned(row: dict[str, Any] = ROW, **config: Any) -> BlockResult:
    return run_block(FormatForTuning.model_validate({"block_name": "t", "prompt_col": "q", "response_col": "a", **config}), [row])


def preferred(row: dict[str, Any], **config: Any) -> BlockResult:
    given = {"block_name": "p", "prompt_col": "q", "chosen_col": "a", "rejected_col": "b", **config}
    return run_block(FormatPreference.model_validate(given), [row])


def test_turns_become_messages_and_empty_ones_are_left_out() -> None:
    assert messages(ROW).rows[0]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who dances?"},
    ]
    assert [one["role"] for one in messages({"q": None}).rows[0]["messages"]] == ["system"]
    assert messages({"q": ""}, turns=TURNS[1:]).rejects[0].error == "NoMessages"


def test_messages_follow_those_that_are_there() -> None:
    history = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    made = messages({"q": "And now?", "h": history}, turns=TURNS[1:], history_col="h").rows[0]["messages"]
    assert made == [*history, {"role": "user", "content": "And now?"}]


def test_images_stand_in_the_first_message_of_the_user_and_are_sent_as_they_stand() -> None:
    row = {"q": "What is it?", "images": ["https://example.org/a.png", "data:image/png;base64,AA=="]}
    made = messages(row, images_col="images")
    parts = [
        {"type": "text", "text": "What is it?", "image_url": None},
        {"type": "image_url", "text": None, "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "text": None, "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    assert made.rows[0]["messages"][1] == {"role": "user", "content": parts}
    send = LLMMessagesBlock(block_name="s", model_id="m", input_col="messages", output_col="reply")
    (request,) = run_block(send, made.rows, lambda _: "A bee.").requests
    assert (request.messages or ())[1]["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]


CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}


@pytest.mark.parametrize("wrong", ["bee.png", 7, {"url": "https://example.org/a.png"}, ["https://example.org/a.png", " "]])
def test_what_is_no_address_of_an_image_is_never_sent(wrong: Any) -> None:
    (reject,) = messages({"q": "What is it?", "images": wrong}, images_col="images").rejects
    assert (reject.error, "is not the address of an image" in reject.message) == ("BadMessages", True)


def test_an_object_that_is_no_history_is_refused_row_by_row() -> None:
    (reject,) = messages({"q": "And now?", "h": {"said": "Hi"}}, turns=TURNS[1:], history_col="h").rejects
    assert "neither a message nor has 'messages'" in reject.message


def test_calls_of_tools_and_their_results_are_messages_of_their_own() -> None:
    turns = [
        *TURNS[1:],
        {"role": "assistant", "tool_calls_col": "calls"},
        {"role": "tool", "results_col": "found"},
        {"role": "assistant", "content": "{{ a }}"},
    ]
    calls = '[{"name": "look", "arguments": {"at": "sky"}}, {"name": "hear", "arguments": {}}]'
    asked, called, first, second, told = messages({**ROW, "calls": calls, "found": '["blue", {"loud": true}]'}, turns=turns).rows[
        0
    ]["messages"]
    assert (asked["role"], told["content"], told["tool_calls"]) == ("user", "Bees.", None)
    assert [call["function"]["name"] for call in called["tool_calls"]] == ["look", "hear"]
    assert called["tool_calls"][0] == {**CALL, "id": "call_0"}
    assert [(one["role"], one["tool_call_id"], one["name"], one["content"]) for one in (first, second)] == [
        ("tool", "call_0", "look", "blue"),
        ("tool", "call_1", "hear", '{"loud": true}'),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"calls": [CALL], "found": ["blue", "red"]}, "'found' has 2 results for 1 calls."),
        ({"calls": [], "found": ["blue"]}, "'found' has 1 results for 0 calls."),
        ({"calls": "[1]", "found": []}, "'calls': a call is an object with 'name' and 'arguments'."),
        ({"calls": "{", "found": []}, "'calls': the text is no JSON: "),
    ],
)
def test_results_that_do_not_fit_to_the_calls_reject_the_row(row: dict[str, Any], message: str) -> None:
    turns = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls_col": "calls"},
        {"role": "tool", "results_col": "found"},
    ]
    (reject,) = messages(row, turns=turns).rejects
    assert (reject.error, reject.message[: len(message)]) == ("BadMessages", message)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_history_keeps_its_calls_and_goes_on(wrapped: bool) -> None:
    history = [
        {"role": "user", "content": "Colour?", "tool_calls": None, "tool_call_id": None},
        {"role": "assistant", "content": None, "tool_calls": [CALL], "tool_call_id": None},
        {"role": "tool", "content": "blue", "tool_calls": None, "tool_call_id": "c1"},
    ]
    row = {"h": {"messages": history, "iterations": 1} if wrapped else history, "a": "It is blue."}
    made = messages(row, turns=[{"role": "assistant", "content": "{{ a }}"}], history_col="h").rows[0]["messages"]
    assert [one["role"] for one in made] == ["user", "assistant", "tool", "assistant"]
    assert (made[1]["tool_calls"], made[2]["tool_call_id"], made[3]["content"]) == ([CALL], "c1", "It is blue.")
    assert messages(row, turns=[], history_col="h").rows[0]["messages"] == made[:3]
    send = LLMMessagesBlock(block_name="s", model_id="m", input_col="messages", output_col="reply")
    (request,) = run_block(send, [{"messages": made}], lambda _: "ok").requests
    assert (request.messages or ())[1] == {"role": "assistant", "content": "", "tool_calls": [CALL]}


def test_a_history_of_parts_is_refused_row_by_row() -> None:
    history = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}]}]
    (reject,) = messages({"q": "And now?", "h": history}, turns=TURNS[1:], history_col="h").rejects
    assert "a content with parts" in reject.message


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({"role": "user", "tool_calls_col": "c"}, "'tool_calls_col' is for turns of the role 'assistant'"),
        ({"role": "user", "results_col": "c"}, "'results_col' is for turns of the role 'tool'"),
        ({"role": "tool", "results_col": "c", "content": "x"}, "do not go together"),
        ({"role": "user"}, "needs a 'content'"),
    ],
)
def test_a_turn_says_what_its_role_can(turn: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        messages(ROW, turns=[turn])


@pytest.mark.parametrize("layout", ["messages", "prompt_completion"])
def test_a_response_may_be_calls_of_tools(layout: str) -> None:
    made = tuned({"q": "Colour?", "a": None, "c": [CALL]}, layout=layout, tool_calls_col="c").rows[0]
    reply = made["messages"][-1] if layout == "messages" else made["completion"][0]
    assert (reply["content"], reply["tool_calls"]) == ("", [CALL])
    assert tuned({"q": "x", "a": None, "c": []}, layout=layout, tool_calls_col="c").rejects[0].error == "NothingSaid"
    assert tuned({"q": "x", "a": "y", "c": "{"}, layout=layout, tool_calls_col="c").rejects[0].error == "BadToolCalls"
    with pytest.raises(ValidationError, match="no place for calls of tools"):
        tuned(layout="alpaca", tool_calls_col="c")


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValidationError, match="has to have one message at least"):
        messages(ROW, turns=[])
    with pytest.raises(ValidationError, match="about tools do not go together"):
        messages(ROW, turns=[*TURNS, {"role": "assistant", "tool_calls_col": "c"}], images_col="i")
    with pytest.raises(ValidationError, match="needs a turn of the user"):
        messages(ROW, turns=TURNS[:1], images_col="i")
    with pytest.raises(ValidationError, match="do not go together"):
        messages(ROW, images_col="i", history_col="h")


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("messages", {"messages": [{"role": "user", "content": "Who dances?"}, {"role": "assistant", "content": "Bees."}]}),
        (
            "prompt_completion",
            {"prompt": [{"role": "user", "content": "Who dances?"}], "completion": [{"role": "assistant", "content": "Bees."}]},
        ),
        ("alpaca", {"instruction": "Who dances?", "input": "", "output": "Bees."}),
        ("sharegpt", {"conversations": [{"from": "human", "value": "Who dances?"}, {"from": "gpt", "value": "Bees."}]}),
    ],
)
def test_each_layout_has_its_columns(layout: str, expected: dict[str, Any]) -> None:
    assert tuned(layout=layout).rows == [{**ROW, **expected}]


def test_material_system_and_thoughts_have_their_places() -> None:
    made = tuned(system="Be kind.", input_col="text", reasoning_col="why").rows[0]["messages"]
    assert made == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Who dances?\n\nA book"},
        {"role": "assistant", "content": "<think>\nI know.\n</think>\n\nBees."},
    ]
    assert tuned(layout="alpaca", input_col="text").rows[0]["input"] == "A book"
    block = FormatForTuning(block_name="t", prompt_col="q", response_col="a", layout="alpaca", system="x")
    assert "no place for 'system'" in next(iter(block.doubts(Columns())))


def test_rows_with_nothing_to_learn_from_are_rejected() -> None:
    assert tuned({"q": "x", "a": " "}).rejects[0].message == "'a' is empty."
    assert preferred({"q": "x", "a": "y", "b": None}).rejects[0].error == "NothingSaid"
    assert preferred({"q": "x", "a": "y", "b": "y "}).rejects[0].error == "SameResponses"


def test_preferences_are_lists_of_messages_or_texts() -> None:
    row = {"q": "x", "a": "good", "b": "bad"}
    made = preferred(row, system="s").rows[0]
    assert made["prompt"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "x"}]
    assert made["rejected"] == [{"role": "assistant", "content": "bad"}]
    assert preferred(row, conversational=False).rows[0] == {**row, "prompt": "x", "chosen": "good", "rejected": "bad"}
