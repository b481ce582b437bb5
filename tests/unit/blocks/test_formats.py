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


def test_what_does_not_go_together_is_refused() -> None:
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
