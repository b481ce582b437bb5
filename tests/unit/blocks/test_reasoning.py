"""What a reasoning model thinks is kept apart from what it answers."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.blocks.chat import LLMMessagesBlock
from sdg_prefect.blocks.llm import LLMBlock
from sdg_prefect.blocks.logprobs import LLMLogProbBlock
from sdg_prefect.blocks.parsers import SplitReasoning
from sdg_prefect.models.completion import Choice, Completion
from sdg_prefect.testing import run_block

SPLIT = SplitReasoning(block_name="s", input_col="reply", answer_col="answer", reasoning_col="thoughts")
PROMPT = {"messages": [{"role": "user", "content": "Say {{ text }}"}], "start_tags": [""], "end_tags": [""]}
THOUGHT = Completion((Choice("four", "stop", reasoning="two and two"), Choice("4", "stop")))


@pytest.mark.parametrize(
    ("reply", "answer", "thoughts"),
    [
        ("<think>a</think>\n\nb", "b", "a"),
        ("a</think>b", "b", "a"),
        ("<think>a</think><think>c</think> b ", "b", "a</think><think>c"),
        (" plain ", " plain ", None),
        ("<think></think>b", "b", ""),
        (None, None, None),
    ],
)
def test_a_reply_is_split_at_its_last_end_tag(reply: Any, answer: Any, thoughts: Any) -> None:
    assert run_block(SPLIT, [{"reply": reply}]).rows == [{"reply": reply, "answer": answer, "thoughts": thoughts}]


def test_a_reply_that_ends_while_the_model_thinks_is_rejected() -> None:
    made = run_block(SPLIT, [{"reply": "<think>so long"}])
    assert [(reject.error, reject.raw) for reject in made.rejects] == [("NoAnswer", "<think>so long")]


def test_what_is_no_text_is_rejected() -> None:
    assert [reject.error for reject in run_block(SPLIT, [{"reply": ["<think>a</think>b"]}]).rejects] == ["NoText"]


def test_other_tags_and_the_column_of_the_replies_itself() -> None:
    block = SplitReasoning(block_name="s", input_col="r", answer_col="r", reasoning_col="t", start_tag="[T]", end_tag="[/T]")
    assert run_block(block, [{"r": "[T]x[/T]y"}]).rows == [{"r": "y", "t": "x"}]


def test_what_the_server_tells_of_the_thoughts_gets_a_column() -> None:
    ask = LLMBlock.model_validate(
        {
            "block_name": "a",
            "model_id": "m",
            "config_path": PROMPT,
            "output_cols": ["said"],
            "reasoning_col": "why",
            "gen_kwargs": {"n": 2},
        }
    )
    made = run_block(ask, [{"text": "x"}], [THOUGHT])
    assert [(row["said"], row["why"]) for row in made.rows] == [("four", "two and two"), ("4", None)]
    assert made.columns == ["text", "said", "why"]


def test_chat_replies_and_lists_of_them_have_their_thoughts_beside() -> None:
    row = {"messages": [{"role": "user", "content": "2 + 2?"}]}
    one = LLMMessagesBlock(block_name="c", model_id="m", input_col="messages", output_col="said", reasoning_col="why")
    assert run_block(one, [row], [THOUGHT]).rows[0] | row == {**row, "said": "four", "why": "two and two"}
    several = one.model_copy(update={"gen_kwargs": {"n": 2}})
    assert run_block(several, [row], [THOUGHT]).rows[0]["why"] == ["two and two", None]


def test_log_probabilities_and_thoughts_have_types_of_their_own() -> None:
    block = LLMLogProbBlock.model_validate(
        {"block_name": "p", "model_id": "m", "config_path": PROMPT, "output_cols": ["tokens"], "reasoning_col": "why"}
    )
    reply = Completion((Choice("x", "stop", reasoning="hm", logprobs=[{"x": -1.0}]),))
    assert run_block(block, [{"text": "x"}], [reply]).rows == [{"text": "x", "tokens": ['{"x": -1.0}'], "why": "hm"}]
