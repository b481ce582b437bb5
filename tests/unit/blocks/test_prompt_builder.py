"""Columns of prompts, in the way of sdg_hub 0.9."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.prompt_builder import PromptBuilderBlock
from sdg_prefect.testing import run_block

PROMPT = {"messages": [{"role": "system", "content": "{{ tone }}"}, {"role": "user", "content": "Ask about {{ topic }}.\n"}]}


def build(**fields: Any) -> PromptBuilderBlock:
    usual = {"block_name": "build", "output_cols": "messages", "prompt_config_path": PROMPT}
    return PromptBuilderBlock.model_validate({**usual, **fields})


def test_messages_are_filled_stripped_and_left_out_where_they_are_empty() -> None:
    rows = [{"topic": "gold", "tone": "Be kind."}, {"topic": "tin", "tone": " "}]
    result = run_block(build(input_cols=["topic", "tone"]), rows)
    assert [row["messages"] for row in result.rows] == [
        [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Ask about gold."}],
        [{"role": "user", "content": "Ask about tin."}],
    ]


def test_a_mapping_gives_columns_other_names_in_the_prompt() -> None:
    result = run_block(build(input_cols={"subject": "topic", "mood": "tone"}), [{"subject": "gold", "mood": "x", "topic": "no"}])
    assert result.rows[0]["messages"][1]["content"] == "Ask about gold."
    assert list(build(input_cols={"subject": "topic", "mood": "tone"}).reads()) == ["subject", "mood"]


def test_one_text_has_the_role_before_each_message() -> None:
    result = run_block(build(input_cols=["topic", "tone"], format_as_messages=False), [{"topic": "gold", "tone": "x"}])
    assert result.rows[0]["messages"] == "system: x\n\nuser: Ask about gold."


@pytest.mark.parametrize(
    ("columns", "hint"), [({"topic": "topc", "tone": "tone"}, "Did you mean 'topc'?"), (["tone"], "Known: tone.")]
)
def test_a_variable_that_no_column_gives_is_found_before_anything_runs(columns: Any, hint: str) -> None:
    with pytest.raises(ValidationError, match="uses 'topic', which 'input_cols' does not give") as told:
        build(input_cols=columns)
    assert hint in str(told.value)


def test_a_variable_that_the_prompt_asks_about_need_not_be_given() -> None:
    prompt = {"messages": [{"role": "user", "content": "{% if tone %}{{ tone }}{% endif %}{{ topic }}"}]}
    assert run_block(build(prompt_config_path=prompt, input_cols="topic"), [{"topic": "x"}]).rows[0]["messages"] == [
        {"role": "user", "content": "x"}
    ]


def test_a_row_that_does_not_fit_the_prompt_is_rejected_alone() -> None:
    prompt = {"messages": [{"role": "user", "content": "{{ 10 // number }}"}]}
    result = run_block(build(prompt_config_path=prompt, input_cols="number"), [{"number": 0}, {"number": 5}])
    assert [reject.error for reject in result.rejects] == ["PromptFailed"]
    assert [row["number"] for row in result.rows] == [5]


def test_it_takes_exactly_one_output_column() -> None:
    with pytest.raises(ValidationError, match="has to name one column, not 2"):
        build(input_cols=["topic", "tone"], output_cols=["a", "b"])
