"""The beginning that prompts of all rows share is known from their templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sdg_prefect.blocks.chat import LLMMessagesBlock
from sdg_prefect.blocks.files import FlowFiles
from sdg_prefect.blocks.llm import LLMBlock
from sdg_prefect.blocks.prompts import load_prompt
from sdg_prefect.blocks.templates import find_constants
from sdg_prefect.models.completion import Request
from sdg_prefect.testing import run_block

LONG = "Write plainly, and say only what the text says. " * 100


def asked(prompt: Any, row: dict[str, Any], **config: Any) -> tuple[Request, str]:
    """Return what a block asks for a row, and the beginning of it that it takes for shared."""
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    given = {"messages": messages, "start_tags": [""], "end_tags": [""]}
    made = {"block_name": "ask", "config_path": given, "model_id": "teacher", "output_cols": ["a"], **config}
    (request,) = run_block(LLMBlock.model_validate(made), [row], ["fine"]).requests
    text = "".join(message["content"] for message in request.messages or ())
    return request, text[: request.shared_prefix]


@pytest.mark.parametrize(
    ("prompt", "shared"),
    [
        ("Read this:\n\n{{ text }}\n\nNow write.", "Read this:"),
        ("  Read this: {{ text }}", "Read this:"),
        ("{{ text }} is it", ""),
        ("Nothing of the row.", "Nothing of the row."),
        ("A {# a comment #}{{ '{b}' }} c {{ text }}", "A {b} c"),
        ("A{% if text %} {{ text }}{% endif %}", "A"),
        ("A {%- set b = 'c' %} {{ b }}", "A"),
        ("A\n{%- for word in text %}{{ word }}{% endfor %}", "A"),
    ],
)
def test_the_beginning_ends_where_the_row_begins(prompt: str, shared: str) -> None:
    assert asked(prompt, {"text": "some text"})[1] == shared


def test_messages_before_the_row_are_shared_whole() -> None:
    turns = [("system", " S "), ("user", "Q"), ("assistant", "A"), ("user", "About {{ text }}"), ("user", "S")]
    request, shared = asked([{"role": role, "content": said} for role, said in turns], {"text": "x"})
    assert shared == "SQAAbout"
    assert [message["content"] for message in request.messages or ()] == ["S", "Q", "A", "About x", "S"]


def test_an_empty_value_takes_the_white_space_before_it_along() -> None:
    assert asked("Read this:\n{{ text }}", {"text": ""})[1] == "Read this:"


def test_a_number_of_samples_that_every_row_has_is_shared() -> None:
    prompt = "Write {{ num_samples }} questions about {{ text }}"
    assert asked(prompt, {"text": "x"}, batch_kwargs={"num_samples": 3})[1] == "Write 3 questions about"
    assert asked(prompt, {"text": "x", "num_samples": 4})[1] == "Write"
    assert asked(prompt, {"text": "x", "num_samples": 4}, batch_kwargs={"num_samples": 3})[1] == ""


def test_what_is_shared_is_no_part_of_a_key() -> None:
    request, _ = asked("Read this: {{ text }}", {"text": "x"})
    assert request.shared_prefix
    assert request.key("m") == Request("teacher", request.row_id, messages=request.messages, params=request.params).key("m")


def test_the_system_message_of_a_reasoning_model_is_shared() -> None:
    _, shared = asked("Read: {{ text }}", {"text": "x"}, model_prompt="nvidia/Llama-3_3-Nemotron-Super-49B-v1")
    assert shared == "detailed thinking onRead:"


def warned(folder: Path, **sections: Any) -> list[str]:
    (folder / "p.yaml").write_text(yaml.safe_dump(sections, sort_keys=False, width=10**6), "utf-8")
    files = FlowFiles(folder)
    load_prompt(files, "p.yaml")
    assert all(problem.warning for problem in files.problems)
    return [str(problem) for problem in files.problems]


def test_a_long_text_behind_something_of_the_row_is_told_with_its_line(tmp_path: Path) -> None:
    (said,) = warned(tmp_path, system="You teach.", introduction="Read {{ text }}", principles=LONG, generation="Go.")
    assert "p.yaml:2" in said
    assert "4,80" in said
    assert "characters that are the same for every row come after something of the row" in said


@pytest.mark.parametrize(
    "sections",
    [
        {"system": LONG, "generation": "{{ text }}"},
        {"system": "{{ text }}", "generation": "Short."},
        {"system": LONG, "introduction": "{{ text }}", "generation": LONG},
        {"system": "Write {{ num_samples }} of them.", "principles": LONG, "generation": "{{ text }}"},
        {"system": LONG, "generation": "Go."},
    ],
)
def test_a_prompt_that_is_cached_as_it_is_gives_no_warning(tmp_path: Path, sections: dict[str, str]) -> None:
    assert warned(tmp_path, **sections) == []


def test_a_text_that_a_condition_decides_on_is_not_constant() -> None:
    assert find_constants("a {{ b }} c{% if d %}eee{% endif %} f").later == 4


def conversations(*columns: list[dict[str, Any]]) -> list[int]:
    """Return how many characters a chat block takes for shared in each row's messages."""
    fields = {"block_name": "chat", "model_id": "teacher", "input_col": "messages", "output_col": "a"}
    rows = [{"messages": messages} for messages in columns]
    made = run_block(LLMMessagesBlock.model_validate(fields), rows, ["fine"] * len(rows))
    return [request.shared_prefix for request in made.requests]


def test_messages_that_all_rows_of_a_chat_block_begin_with_are_shared() -> None:
    system, one, two = ({"role": role, "content": said} for role, said in (("system", "Teach."), ("user", "1"), ("user", "2")))
    assert conversations([system, one], [system, two]) == [6, 6]
    assert conversations([system, one], [system, one, two]) == [7, 7]
    assert conversations([one], [two]) == [0, 0]
    assert conversations([system, one]) == [0]
