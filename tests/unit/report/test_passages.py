"""A preview row by row: the prompt, the reply and what came of them, beside each other."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from sdg_prefect.cli.sides import beside_each_other, shortened
from sdg_prefect.report.passages import passages, preview_page
from tests.unit.report.test_page import HOSTILE, Elements

MESSAGES = [{"role": "system", "content": "You ask."}, {"role": "user", "content": "Ask about bees."}]


def step(text: str = "Why do bees dance?", **changed: Any) -> dict[str, Any]:
    """Return a step of a preview: one row gave two, another one none, and a third passed by."""
    made: dict[str, Any] = {
        "name": "ask",
        "type": "LLMBlock",
        "rows_in": 3,
        "rows_out": 3,
        "skipped": 1,
        "filtered": 0,
        "deduplicated": 0,
        "exchanges": [
            {"row_id": "a", "asked": MESSAGES, "replies": [text, "two"], "is_replayed": True},
            {"row_id": "b", "asked": "plain text", "error": f"Timeout: {text}"},
        ],
        "rejects": [{"row_id": "b", "block": "ask", "error": "Timeout", "message": text}],
        "rows": [
            {"__row_id__": "a0", "document": "d", "question": text},
            {"__row_id__": "a1", "document": "d", "question": "two"},
            {"__row_id__": "c", "document": "e", "question": None},
        ],
        "row_ids": ["a", "b", "c"],
        "columns_kept": ["document"],
        "parents": ["a", "a", "c"],
    }
    return made | changed


def told(text: str = "Why do bees dance?") -> dict[str, Any]:
    """Return the JSON of a preview."""
    quiet = step(name="keep", type="Filter", exchanges=[], rejects=[], columns_kept=["document", "question"])
    return {
        "flow": "small",
        "steps": [step(text), quiet],
        "rows": [{}, {}, {}],
        "llm_calls": 1,
        "llm_replayed": 1,
        "cost_usd": 0.25,
        "cost_known": True,
    }


def test_each_row_has_what_was_asked_for_it_and_what_became_of_it() -> None:
    first, second, third = passages(step())
    assert first.asked == [("system", "You ask."), ("user", "Ask about bees.")]
    assert first.said == [("reply 1 of 2, replayed", "Why do bees dance?"), ("reply 2 of 2, replayed", "two")]
    assert first.made == [("row 1: question", "Why do bees dance?"), ("row 2: question", "two")]
    assert (second.asked, second.said) == ([("prompt", "plain text")], [("failed", "Timeout: Why do bees dance?")])
    assert (second.made, second.is_lost) == ([("rejected", "Timeout: Why do bees dance?")], True)
    assert (third.asked, third.made) == ([], [("question", "null")])


def test_a_step_that_asks_nothing_and_adds_nothing_has_no_rows_to_show() -> None:
    assert list(passages(told()["steps"][1])) == []


@pytest.mark.parametrize("width", [100, 140])
def test_on_a_wide_terminal_prompt_reply_and_rows_stand_beside_each_other(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None, highlight=False, markup=False)
    for part in beside_each_other(told("[b]Why?[/b]\x1b[2J"), None):
        console.print(part)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    head = next(line for line in lines if "prompt" in line and "reply" in line)
    assert head.split() == ["prompt", "reply", "rows"]
    beside = next(line for line in lines if "You ask." in line)
    assert beside.count("[b]Why?[/b]\\x1b[2J") == 2
    assert "1 calls paid for, $0.2500, 1 replayed." in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_of_a_long_text_both_ends_are_shown() -> None:
    assert shortened("abc" * 100, None) == "abc" * 100
    said = shortened("a" * 500 + "z" * 100, 300)
    assert said == f"{'a' * 200} … (300 more characters; --full shows them) … {'z' * 100}"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_page_of_a_preview_shows_and_never_obeys(text: str) -> None:
    page = preview_page(text, told(text))
    elements, harmless = Elements(page), Elements(preview_page("small", told()))
    assert [tag for tag, _ in elements.found] == [tag for tag, _ in harmless.found]
    assert not elements.unbalanced
    assert not {"script", "img", "link", "iframe"} & elements.names
    page.encode()


def test_a_page_of_a_preview_has_the_three_sides_of_each_row() -> None:
    page = preview_page("small", told())
    for said in (
        "<h4>Prompt</h4>",
        "<h4>Reply</h4>",
        "<h4>Rows</h4>",
        "<h4>Rejected</h4>",
        "Ask about bees.",
        "replayed",
        "Preview of small",
    ):
        assert said in page
    assert page.count('<div class="sides') == 3
