"""From texts to columns."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from sdg_prefect.blocks.parsers import PostProcessThinkingBlock, RegexParserBlock
from sdg_prefect.blocks.parsing import parse_pattern, parse_tags, rows_of
from sdg_prefect.testing import run_block


def between(text: str, start: str, end: str) -> list[str]:
    return parse_tags(text, [(start, end)], ["a"])["a"]


def test_what_stands_between_tags_is_stripped() -> None:
    assert between("x [Q] one\n[/Q] y [Q]two[/Q]", "[Q]", "[/Q]") == ["one", "two"]


def test_an_empty_match_counts() -> None:
    assert between("[Q][/Q][Q] [/Q]", "[Q]", "[/Q]") == ["", ""]


def test_a_match_may_span_lines() -> None:
    assert between("[Q]a\n\nb[/Q]", "[Q]", "[/Q]") == ["a\n\nb"]


def test_without_tags_the_whole_text_is_the_match() -> None:
    assert between(" all of it \n", "", "") == ["all of it"]


def test_an_empty_text_gives_nothing() -> None:
    assert between("", "", "") == between("", "[Q]", "") == []


def test_an_end_tag_alone_gives_what_stands_before_each() -> None:
    assert between("one; two; three", "", ";") == ["one", "two"]


def test_a_start_tag_alone_gives_the_rest_of_the_text_once() -> None:
    assert between("x [A] one [A] two\nthree ", "[A]", "") == ["one [A] two\nthree"]


def test_tags_are_no_patterns() -> None:
    assert between("(.*)x$ a^ (.*)y$", "(.*)", "$") == ["x", "y"]


def test_an_unclosed_tag_gives_nothing() -> None:
    assert between("[Q] cut at max_tok", "[Q]", "[/Q]") == []


def test_matches_are_paired_as_far_as_the_shortest_column_goes() -> None:
    found = parse_tags("<q>1</q><a>2</a><q>3</q>", [("<q>", "</q>"), ("<a>", "</a>")], ["q", "a"])
    assert rows_of(found) == [("1", "2")]
    assert rows_of({"q": ["1", "2"], "a": []}) == []


def test_tags_beyond_the_columns_are_ignored_and_so_are_columns_beyond_the_tags() -> None:
    assert parse_tags("<a>1</a>", [("<a>", "</a>"), ("<b>", "</b>")], ["x"]) == {"x": ["1"]}
    assert parse_tags("<a>1</a>", [("<a>", "</a>")], ["x", "y"]) == {"x": ["1"]}


def test_several_groups_fill_the_columns_in_order() -> None:
    found = parse_pattern("Q: a\nA: b\nQ: c\nA: d", r"Q: (.)\nA: (.)", ["q", "a"])
    assert rows_of(found) == [("a", "b"), ("c", "d")]


def test_a_value_is_stripped_before_it_is_cleaned_up() -> None:
    assert parse_pattern("1:a1\n[END] ", r"(\d):(.*)", ["n", "a"], ["[END]"])["a"] == ["a1\n"]


def test_one_group_or_none_fills_the_first_column_and_is_not_cleaned_up() -> None:
    assert parse_pattern(" x [END] y [END]", r"(\w) \[END\]", ["a"], ["x"]) == {"a": ["x", "y"]}
    assert parse_pattern("a1 b2", r"\w\d", ["a"]) == {"a": ["a1", "b2"]}


def test_a_group_that_took_no_part_is_empty_text() -> None:
    assert rows_of(parse_pattern("a ab", r"(a)(b)?", ["x", "y"])) == [("a", ""), ("a", "b")]


def test_the_answer_stands_after_the_last_thought() -> None:
    block = PostProcessThinkingBlock(block_name="post", column_name="a")
    texts = ["<think>x</think>\n\n a ", "no thought ", "x</think>y</think> \u3000é\nz", "</think>", None]
    rows = [{"a": text} for text in texts]
    assert [row["a"] for row in run_block(block, rows).rows] == ["a ", "no thought ", "é\nz", "", None]
    assert run_block(block, [{"a": [1, 2]}]).rows == [{"a": [1, 2]}]


def regex(pattern: str = "", output: tuple[str, ...] = ("q",), cleanup: tuple[str, ...] = ()) -> RegexParserBlock:
    return RegexParserBlock(
        block_name="regex", column_name="text", parsing_pattern=pattern, output_cols=output, parser_cleanup_tags=cleanup
    )


def test_every_match_of_a_column_gives_a_row_with_an_id_of_its_own() -> None:
    result = run_block(regex(r"(\w)=(\w)", ("key", "value")), [{"text": "a=1 b=2"}])
    assert result.rows == [{"text": "a=1 b=2", "key": "a", "value": "1"}, {"text": "a=1 b=2", "key": "b", "value": "2"}]
    assert len(set(result.ids)) == 2


def test_a_row_in_which_the_pattern_finds_nothing_is_rejected_with_its_text() -> None:
    result = run_block(regex(r"(\d)"), [{"text": "7"}, {"text": "none"}, {"text": None}])
    assert [row["q"] for row in result.rows] == ["7"]
    assert [(reject.error, reject.raw) for reject in result.rejects] == [("NothingParsed", "none"), ("NothingParsed", "")]


def test_the_cleanup_comes_after_the_pattern_and_goes_through_all_output_columns() -> None:
    assert run_block(regex(r"(\w+) (\w+)", ("a", "b"), ("x", "y")), [{"text": "axy byx"}]).rows[0] == {
        "text": "axy byx",
        "a": "a",
        "b": "b",
    }


def test_without_a_pattern_only_the_cleanup_is_done() -> None:
    result = run_block(regex(output=("text", "other"), cleanup=("[END]",)), [{"text": "a[END] b[END]", "other": None}])
    assert result.rows == [{"text": "a b", "other": None}]


def test_a_pattern_that_could_never_give_a_row_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"1 group\(s\) for 2 output columns"):
        regex(r"(\d)", ("a", "b"))
    with pytest.raises(ValidationError, match="needs 'output_cols'"):
        regex(r"(\d)", ())
    with pytest.raises(ValidationError, match="not a valid regular expression: missing"):
        regex(r"(\d")
