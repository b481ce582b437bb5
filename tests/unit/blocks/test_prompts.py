"""Prompt files of both kinds."""

from __future__ import annotations

import pickle  # noqa: TID251 - a block goes to workers pickled
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from sdg_prefect.blocks.files import FlowFiles
from sdg_prefect.blocks.llm import LLMBlock
from sdg_prefect.blocks.prompts import Prompt, load_prompt
from sdg_prefect.errors import Problem

SECTIONS = "system: S\nintroduction: I\nprinciples: P\nexamples: E\ngeneration: G\n"


def read(folder: Path, text: str) -> Prompt:
    (folder / "p.yaml").write_text(text, "utf-8")
    return load_prompt(FlowFiles(folder), "p.yaml")


def problems(folder: Path, text: str) -> list[Problem]:
    (folder / "p.yaml").write_text(text, "utf-8")
    files = FlowFiles(folder)
    with pytest.raises(PydanticCustomError):
        load_prompt(files, "p.yaml")
    return files.problems


def test_five_sections_become_one_user_message_in_their_order(tmp_path: Path) -> None:
    prompt = read(tmp_path, "generation: G\nexamples: E\nprinciples: P\nintroduction: I\nsystem: S\n")
    assert prompt.render({}) == [{"role": "user", "content": "S\nI\nP\nE\nG"}]


def test_a_null_or_missing_section_is_an_empty_line(tmp_path: Path) -> None:
    assert read(tmp_path, "system: null\nintroduction: I\ngeneration: G").render({}) == [{"role": "user", "content": "I\n\n\nG"}]


def test_the_rendered_prompt_is_stripped_and_braces_survive(tmp_path: Path) -> None:
    prompt = read(tmp_path, 'system: "  {a} {{ text }} {{ \'{b}\' }}"\ngeneration: "\\n\\n"')
    assert prompt.render({"text": "{c}"}) == [{"role": "user", "content": "{a} {c} {b}"}]


def test_tags_and_num_samples_come_from_the_file(tmp_path: Path) -> None:
    prompt = read(tmp_path, SECTIONS + 'start_tags: ["[Q]", null]\nend_tags: ["[/Q]", ""]\nnum_samples: 4')
    assert (prompt.start_tags, prompt.end_tags, prompt.num_samples) == (("[Q]", ""), ("[/Q]", ""), 4)


def test_a_list_of_messages_keeps_its_roles(tmp_path: Path) -> None:
    prompt = read(tmp_path, "- {role: system, content: ' {{ a }} '}\n- {role: user, content: hi}")
    assert prompt.render({"a": "x"}) == [{"role": "system", "content": "x"}, {"role": "user", "content": "hi"}]
    assert prompt.render({"a": " "}) == [{"role": "user", "content": "hi"}]
    assert prompt.render_text({"a": "x"}) == "x\nhi"


def test_the_columns_that_a_prompt_reads_have_their_lines(tmp_path: Path) -> None:
    prompt = read(tmp_path, "system: S\ngeneration: |\n  {{ a }}\n  {% if b %}{{ b }}{% endif %}\n")
    assert [(need.column, need.line, need.optional) for need in prompt.needs()] == [("a", 3, False), ("b", 4, True)]
    assert {Path(need.file).name for need in prompt.needs()} == {"p.yaml"}


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("just text", "a mapping of sections or a list of messages", 1),
        ("", "a mapping of sections or a list of messages", 1),
        ("{}", "the prompt has no text", 1),
        ("system: ''\ngeneration: null", "the prompt has no text", 1),
        ("system: S\ngeneration: [G]", "section 'generation' has to be text, not list", 2),
        ("generation: G\nstart_tags: '[Q]'", "'start_tags' has to be a list of texts", 2),
        ("generation: G\nend_tags: [1]", "'end_tags' has to be a list of texts", 2),
        ("generation: G\nnum_samples: many", "'num_samples' has to be a whole number", 2),
        ("generation: G\nnum_samples: true", "'num_samples' has to be a whole number", 2),
        ("system: S\ngeneration: |\n  a\n  {{ b }\n", "the template is wrong", 4),
        ("- {role: user, content: hi}\n- {role: bot, content: x}", "message 2 has to be a mapping", 2),
        ("- {role: user}", "message 1 has to be a mapping", 1),
        ("- hi", "message 1 has to be a mapping", 1),
        ("[]", "the last message of a prompt has to be the user's", 1),
        ("- {role: user, content: a}\n- {role: assistant, content: b}", "the last message of a prompt has to be the user's", 2),
        ("generation: G\n  bad: x", "not valid YAML", 2),
    ],
)
def test_what_is_wrong_with_a_prompt_file_is_told_with_its_place(tmp_path: Path, text: str, message: str, line: int) -> None:
    found = problems(tmp_path, text)
    assert [(message in problem.message, problem.line) for problem in found] == [(True, line)]
    assert found[0].file.endswith("p.yaml")


def test_every_problem_of_a_prompt_file_is_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "system: 1\ngeneration: 2\nnum_samples: x")) == 3


def test_a_mistyped_key_is_a_warning_and_any_other_key_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("genration: x\ngeneration: G\nauthor: me")
    files = FlowFiles(tmp_path)
    load_prompt(files, "p.yaml")
    assert [(problem.warning, problem.hint) for problem in files.problems] == [(True, "Did you mean 'generation'?")]


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "ask.yaml").write_text("generation: G")
    with pytest.raises(PydanticCustomError, match=r"'aks.yaml' does not exist. Did you mean 'ask.yaml'\?"):
        load_prompt(FlowFiles(tmp_path), "aks.yaml")


def test_a_prompt_is_found_beside_the_flow_and_in_folders_above(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "flows" / "deep").mkdir(parents=True)
    (tmp_path / "prompts" / "ask.yaml").write_text("generation: above")
    files = FlowFiles(tmp_path / "flows" / "deep")
    assert load_prompt(files, "prompts/ask.yaml").messages[0].content.strip() == "above"
    (tmp_path / "flows" / "deep" / "prompts").mkdir()
    (tmp_path / "flows" / "deep" / "prompts" / "ask.yaml").write_text("generation: beside")
    assert load_prompt(files, "prompts/ask.yaml").messages[0].content.strip() == "beside"


def test_the_text_of_a_prompt_is_in_the_blocks_key_and_its_path_is_not(tmp_path: Path) -> None:
    def key(name: str, text: str) -> str:
        (tmp_path / name).write_text(f"generation: {text}\nstart_tags: ['']\nend_tags: ['']")
        config = {"block_name": "ask", "config_path": name, "output_cols": ["a"], "model_id": "m"}
        block = LLMBlock.model_validate(config, context=FlowFiles(tmp_path))
        assert pickle.loads(pickle.dumps(block)) == block
        return block.key({})

    assert key("a.yaml", "x") == key("b.yaml", "x") != key("a.yaml", "y")


def test_a_prompt_field_is_the_name_of_a_file() -> None:
    with pytest.raises(ValidationError, match="expected the name of a file"):
        LLMBlock.model_validate({"block_name": "ask", "config_path": 3, "output_cols": ["a"], "model_id": "m"})


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "p.yaml").write_text(SECTIONS, "utf-8")
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(PydanticCustomError, match=r"p\.yaml' cannot be read: Permission denied\."):
        load_prompt(FlowFiles(tmp_path), "p.yaml")
