"""Asking a model about each row, and making rows of its replies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from sdg_prefect.blocks import Columns, Need
from sdg_prefect.blocks.conditional import ConditionalLLMBlock
from sdg_prefect.blocks.llm import LLMBlock
from sdg_prefect.blocks.logprobs import LLMLogProbBlock
from sdg_prefect.models.completion import Choice, Completion, Failure
from sdg_prefect.testing import run_block

TAGS = {"start_tags": ["<q>", "<a>"], "end_tags": ["</q>", "</a>"]}
WHOLE = {"start_tags": [""], "end_tags": [""]}
CUSTOM = {"parser_name": "custom", "parsing_pattern": r"Q(.)A(.)"}


def prompt(text: str = "About {{ text }}", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **(fields or TAGS)}


def ask(config: Mapping[str, Any] | None = None, **fields: Any) -> LLMBlock:
    base = {"block_name": "ask", "config_path": config or prompt(), "output_cols": ["q", "a"], "model_id": "teacher"}
    return LLMBlock.model_validate({**base, **fields})


def reply(question: str, answer: str) -> str:
    return f"<q>{question}</q> <a>{answer}</a>"


def test_a_reply_fills_the_columns_behind_those_of_the_row() -> None:
    result = run_block(ask(), [{"text": "x", "z": 1}], {"About x": reply("why", "so")})
    assert list(result.rows[0].items()) == [("text", "x"), ("z", 1), ("q", "why"), ("a", "so")]


def test_a_column_that_is_there_is_overwritten_in_its_place() -> None:
    result = run_block(ask(output_cols=["text", "a"]), [{"text": "x", "z": 1}], [reply("why", "so")])
    assert list(result.rows[0].items()) == [("text", "why"), ("z", 1), ("a", "so")]


def test_a_reply_with_several_matches_gives_several_rows_with_ids_of_their_own() -> None:
    result = run_block(ask(), [{"text": "x"}], [reply("1", "2") + reply("3", "4")])
    assert [(row["q"], row["a"]) for row in result.rows] == [("1", "2"), ("3", "4")]
    assert len(set(result.ids)) == 2
    assert set(result.parents) == set(result.parents[:1])


def test_the_samples_of_a_row_stand_together_in_the_order_of_the_replies() -> None:
    replies = [[reply("x1", ""), reply("x2", "")], [reply("y1", ""), reply("y2", "")]]
    result = run_block(ask(gen_kwargs={"n": 2}), [{"text": "x"}, {"text": "y"}], replies)
    assert [row["q"] for row in result.rows] == ["x1", "x2", "y1", "y2"]
    assert [request.params["n"] for request in result.requests] == [2, 2]


def test_the_defaults_of_sampling_are_under_the_blocks_own() -> None:
    params = run_block(ask(gen_kwargs={"temperature": 0.7}), [{"text": "x"}], [reply("", "")]).requests[0].params
    assert params == {"temperature": 0.7, "max_tokens": 4096}


def test_stop_texts_that_servers_leave_out_are_put_back_before_the_parser() -> None:
    block = ask(prompt("{{ text }}", **WHOLE), output_cols=["a"], gen_kwargs={"stop": [".", "!"]})
    assert run_block(block, [{"text": "x"}], [" said \n"]).rows[0]["a"] == "said.!"
    closing = ask(prompt("{{ text }}", start_tags=["<a>"], end_tags=["</a>"]), output_cols=["a"], gen_kwargs={"stop": "</a>"})
    assert run_block(closing, [{"text": "x"}], ["<a>cut here"]).rows[0]["a"] == "cut here"


@pytest.mark.parametrize(
    ("reply", "finish", "message"),
    [
        ("", "stop", "the reply is empty."),
        (None, "stop", "the reply is empty."),
        ("no tags", "stop", "the parser found nothing in the reply."),
        ("<q>cut", "length", "the parser found nothing in the reply (it was cut at max_tokens)."),
        ("<q>no answer</q>", "stop", "the parser found nothing in the reply."),
    ],
)
def test_a_row_whose_reply_gives_nothing_is_rejected_with_the_reply(reply: str | None, finish: str, message: str) -> None:
    result = run_block(ask(), [{"text": "x"}], [Completion((Choice(reply, finish),), attempts=3, cost_usd=0.0)])
    (reject,) = result.rejects
    assert (reject.error, reject.message, reject.raw, reject.attempts) == ("NothingParsed", message, reply or "", 3)
    assert reject.row == {"text": "x"}


def test_a_reply_without_choices_rejects_the_row() -> None:
    assert run_block(ask(), [{"text": "x"}], [Completion(())]).counts.rejected == 1


def test_samples_without_a_match_are_counted_where_another_gives_rows() -> None:
    result = run_block(ask(gen_kwargs={"n": 3}), [{"text": "x"}], [[reply("1", "2"), "nothing", ""]])
    assert (result.counts.rows_out, result.counts.unparsed, result.counts.rejected) == (1, 2, 0)


def test_an_empty_match_is_kept() -> None:
    assert run_block(ask(), [{"text": "x"}], [reply("", " ")]).rows[0]["q"] == ""


def test_a_failed_call_rejects_its_row_alone() -> None:
    failed = Failure("ContentFiltered", "refused", transient=False, attempts=2)
    result = run_block(ask(), [{"text": "x"}, {"text": "y"}], [failed, reply("1", "2")])
    assert [row["text"] for row in result.rows] == ["y"]
    assert [(reject.error, reject.message, reject.attempts) for reject in result.rejects] == [("ContentFiltered", "refused", 2)]


def test_missing_variables_are_empty_and_nulls_are_written_out() -> None:
    block = ask(prompt("[{{ text }}] [{{ missing }}]"))
    assert run_block(block, [{"text": None}], [reply("", "")]).prompts == ["[None] []"]


def test_a_row_that_does_not_fit_the_prompt_is_rejected_without_a_call() -> None:
    block = ask(prompt("{{ text.upper() }}"))
    result = run_block(block, pa.table({"text": pa.array([None, "x"])}), {"X": reply("1", "2")})
    assert (result.prompts, [reject.error for reject in result.rejects]) == (["X"], ["PromptFailed"])


def test_a_prompt_without_variables_is_asked_for_every_row() -> None:
    assert run_block(ask(prompt("Say something.")), [{"a": 1}] * 2, [reply("", "")] * 2).prompts == ["Say something."] * 2


def test_num_samples_of_the_prompt_file_becomes_a_column_where_there_is_none() -> None:
    block = ask(prompt("{{ num_samples }}", num_samples=5, **TAGS))
    assert list(run_block(block, [{"text": "x"}], {"5": reply("", "")}).rows[0]) == ["text", "num_samples", "q", "a"]
    assert run_block(block, [{"num_samples": 2}], {"2": reply("", "")}).rows[0]["num_samples"] == 2
    assert Need("num_samples") not in list(block.reads())


def test_num_samples_of_batch_kwargs_fills_the_prompt_and_is_no_column() -> None:
    block = ask(prompt("{{ num_samples }}"), batch_kwargs={"num_samples": 30, "num_procs": 8})
    assert "num_samples" not in run_block(block, [{"text": "x"}], {"30": reply("", "")}).columns
    assert run_block(block, [{"num_samples": 2}], {"2": reply("", "")}).prompts == ["2"]


def test_the_prompt_goes_as_one_user_message() -> None:
    (request,) = run_block(ask(), [{"text": "x"}], [reply("", "")]).requests
    assert (request.messages, request.prompt) == ([{"role": "user", "content": "About x"}], None)


@pytest.mark.parametrize(
    ("template", "sent"),
    [("blank", "About x"), ("<s> [INST] {prompt} [/INST]", "<s> [INST] About x [/INST]")],
)
def test_a_raw_prompt_goes_over_the_completion_protocol(template: str, sent: str) -> None:
    (request,) = run_block(ask(model_prompt=template), [{"text": "x"}], [reply("", "")]).requests
    assert (request.messages, request.prompt) == (None, sent)


def test_a_template_of_a_known_name_means_chat() -> None:
    (request,) = run_block(ask(model_prompt="mistralai/Mixtral"), [{"text": "x"}], [reply("", "")]).requests
    assert request.prompt is None


def test_the_reasoning_model_is_told_to_think_unless_the_prompt_has_a_system_message() -> None:
    name = "nvidia/Llama-3_3-Nemotron-Super-49B-v1"
    (request,) = run_block(ask(model_id=name), [{"text": "x"}], [reply("", "")]).requests
    assert request.messages is not None
    assert [message["role"] for message in request.messages] == ["system", "user"]
    own = {"messages": [{"role": "system", "content": "mine"}, {"role": "user", "content": "hi"}], **TAGS}
    (request,) = run_block(ask(own, model_id=name), [{"text": "x"}], [reply("", "")]).requests
    assert request.messages == [{"role": "system", "content": "mine"}, {"role": "user", "content": "hi"}]


def test_a_pattern_reads_the_reply_in_place_of_tags() -> None:
    block = ask(prompt("{{ text }}", start_tags=None), parser_kwargs={**CUSTOM, "parser_cleanup_tags": ["x"]})
    result = run_block(block, [{"text": "t"}], ["Q1A2 QxAy"])
    assert [(row["q"], row["a"]) for row in result.rows] == [("1", "2"), ("", "y")]


def test_a_parser_of_another_name_reads_tags() -> None:
    block = ask(parser_kwargs={"parser_name": "tags", "parsing_pattern": "(x)"})
    assert run_block(block, [{"text": "t"}], [reply("1", "2")]).rows[0]["q"] == "1"


def test_columns_beyond_the_tags_are_never_made_and_raise_a_doubt() -> None:
    block = ask(output_cols=["q", "a", "extra"])
    assert run_block(block, [{"text": "x"}], [reply("1", "2")]).columns == ["text", "q", "a"]
    assert next(iter(block.doubts(Columns()))).endswith("these are never made: extra.")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"config_path": prompt("x", start_tags=None)}, "has no start_tags and end_tags"),
        ({"parser_kwargs": {"parser_name": "custom"}}, "needs a 'parsing_pattern'"),
        ({"parser_kwargs": {"parser_name": "custom", "parsing_pattern": "(a)"}}, "no reply could ever give a row"),
        ({"gen_kwargs": {"temprature": 1}}, "Did you mean 'temperature'"),
        ({"gen_kwargs": {"n": 0}}, "'n' has to be at least 1"),
        ({"gen_kwargs": {"max_tokens": "many"}}, "'max_tokens' has to be a whole number"),
        ({"gen_kwargs": {"temperature": True}}, "'temperature' has to be a number"),
    ],
)
def test_a_block_that_could_never_work_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ask(**fields)


def test_sampling_parameters_have_one_shape() -> None:
    assert ask(gen_kwargs={"stop": ".", "top_k": 5, "stream": True, "seed": None, "extra_body": {"x": 1}}).gen_kwargs == {
        "stop": ["."],
        "extra_body": {"x": 1, "top_k": 5},
    }


def test_what_is_asked_decides_where_completions_are_kept_and_the_parser_does_not() -> None:
    asks = ask().ask_key({})
    assert ask(parser_kwargs=CUSTOM).ask_key({}) == asks
    assert ask(parser_kwargs=CUSTOM).key({}) != ask().key({})
    assert ask(prompt("Other")).ask_key({}) != asks
    assert ask().ask_key({"teacher": "served"}) != asks
    assert ask().key({"teacher": "served"}) != ask().key({})


def choose(**fields: Any) -> ConditionalLLMBlock:
    prompts = {"x": prompt("Ex {{ text }}"), 2: prompt("Two {{ other }}", **WHOLE)}
    base = {
        "block_name": "choose",
        "model_id": "m",
        "config_paths": prompts,
        "selector_column_name": "kind",
        "output_cols": ["q"],
    }
    return ConditionalLLMBlock.model_validate({**base, **fields})


def test_the_row_chooses_the_prompt_which_goes_as_raw_text() -> None:
    result = run_block(choose(), [{"kind": "x", "text": "t"}], ["<q>1</q>"])
    assert (result.requests[0].prompt, result.rows[0]["q"]) == ("Ex t", "1")


def test_tags_come_from_the_first_prompt() -> None:
    result = run_block(choose(), [{"kind": 2, "other": "o"}], ["<q>1</q>"])
    assert (result.prompts, result.rows[0]["q"]) == (["Two o"], "1")


@pytest.mark.parametrize("kind", ["z", None])
def test_a_row_whose_value_has_no_prompt_is_rejected(kind: str | None) -> None:
    result = run_block(choose(), [{"kind": kind, "text": "t"}])
    assert "no prompt for" in result.rejects[0].message


def test_a_prompt_for_all_stands_for_every_other_value() -> None:
    block = choose(config_paths={"x": prompt("Ex"), "All": prompt("Any")})
    assert run_block(block, [{"kind": "x"}, {"kind": None}], ["<q>1</q>"] * 2).prompts == ["Ex", "Any"]


def test_every_prompts_columns_are_read() -> None:
    assert [need.column for need in choose().reads()] == ["kind", "text", "other"]


def test_an_edited_second_prompt_is_another_key() -> None:
    other = {"x": prompt("Ex {{ text }}"), 2: prompt("Changed", **WHOLE)}
    assert choose(config_paths=other).key({}) != choose().key({})


def log_of(**fields: Any) -> LLMLogProbBlock:
    base = {"block_name": "log", "config_path": prompt(), "output_cols": ["p", "more"], "model_id": "m"}
    return LLMLogProbBlock.model_validate({**base, **fields})


def test_log_probabilities_are_kept_as_one_json_text_per_token() -> None:
    told = Choice("yes", logprobs=[{"yes": -0.5, "é": -1.0}, {}])
    result = run_block(log_of(), [{"text": "x"}], [Completion((told, told), cost_usd=0.0)])
    assert [row["p"] for row in result.rows] == [['{"yes": -0.5, "é": -1.0}', "{}"]] * 2
    assert result.columns == ["text", "p"]


def test_log_probabilities_are_asked_of_ten_tokens_over_raw_text() -> None:
    (request,) = run_block(log_of(), [{"text": "x"}], ["no logprobs"]).requests
    assert (request.prompt, request.params["logprobs"]) == ("About x", 10)
    wrapped = log_of(model_prompt="[{prompt}]", gen_kwargs={"logprobs": 2})
    (request,) = run_block(wrapped, [{"text": "x"}], [""]).requests
    assert (request.prompt, request.params["logprobs"]) == ("[About x]", 2)


def test_a_reply_without_log_probabilities_rejects_the_row() -> None:
    assert [reject.error for reject in run_block(log_of(), [{"text": "x"}], ["yes"]).rejects] == ["NoLogprobs"]


def test_an_output_column_beyond_the_first_raises_a_doubt() -> None:
    assert list(log_of().doubts(Columns())) == ["only the first output column, 'p', is filled."]
