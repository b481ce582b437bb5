"""Two models that talk with each other."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.conversations import HoldConversation
from sdg_prefect.models.completion import Failure, Request
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
