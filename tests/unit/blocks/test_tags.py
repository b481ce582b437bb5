"""Tags, patterns and JSON in columns, in the way of sdg_hub 0.9."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.parsers import RegexParserBlock
from sdg_prefect.blocks.tags import TagParserBlock
from sdg_prefect.testing import run_block


def parse(text: Any, **fields: Any) -> Any:
    usual = {"block_name": "parse", "input_cols": "text", "output_cols": "value", "start_tags": "<a>", "end_tags": "</a>"}
    return run_block(TagParserBlock.model_validate({**usual, **fields}), [{"text": text}])


def values(result: Any, name: str = "value") -> list[Any]:
    return [row[name] for row in result.rows]


def test_every_match_gives_a_row_and_empty_ones_count_as_none() -> None:
    result = parse("<a> one </a><a></a><a>two\nlines</a>")
    assert values(result) == ["one", "two\nlines"]


def test_the_column_with_the_fewest_matches_ends_the_rows() -> None:
    fields = {"output_cols": ["q", "a"], "start_tags": ["[Q]", "[A]"], "end_tags": ["[/Q]", "[/A]"]}
    result = parse("[Q]1[/Q][Q]2[/Q][A]x[/A]", **fields)
    assert [(row["q"], row["a"]) for row in result.rows] == [("1", "x")]


def test_cleaning_comes_last_and_may_leave_nothing() -> None:
    assert values(parse("<a>*x*</a><a>*</a>", parser_cleanup_tags=["*"])) == ["x", ""]


@pytest.mark.parametrize(
    ("start", "end", "found"), [("", "", ["a=1; b"]), ("=", "", ["1; b"]), ("", ";", ["a=1"]), ([None], [""], ["a=1; b"])]
)
def test_a_tag_may_be_empty(start: Any, end: Any, found: list[str]) -> None:
    assert values(parse(" a=1; b ", start_tags=start, end_tags=end)) == found


def test_a_list_of_texts_gives_one_row_with_lists() -> None:
    assert values(parse(["<a>1</a>", "none", None, "<a>2</a><a>3</a>"])) == [["1", "2", "3"]]


@pytest.mark.parametrize("text", ["nothing", "", None, [], ["no"]])
def test_a_row_in_which_nothing_is_found_is_rejected_with_its_text(text: Any) -> None:
    result = parse(text)
    assert ([reject.error for reject in result.rejects], result.rows) == (["NothingParsed"], [])


@pytest.mark.parametrize(
    "fields", [{"start_tags": ["a", "b"]}, {"end_tags": []}, {"output_cols": ["a", "b"]}, {"output_cols": []}]
)
def test_tags_and_columns_have_to_pair(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="each column needs one of both"):
        parse("x", **fields)


@given(st.lists(st.text(st.characters(exclude_characters="[]"), min_size=1, max_size=5), min_size=1, max_size=4))
def test_what_is_put_between_tags_is_found_again(texts: list[str]) -> None:
    result = parse("".join(f"[v]{text}[/v] " for text in texts), start_tags="[v]", end_tags="[/v]")
    assert values(result) == [text.strip() for text in texts if text.strip()]


def pattern(**fields: Any) -> RegexParserBlock:
    usual = {"block_name": "parse", "input_cols": "text", "output_cols": ["value"], "parsing_pattern": r"(\w)=(\w)"}
    return RegexParserBlock.model_validate({**usual, **fields})


def test_a_pattern_parses_the_column_of_input_cols() -> None:
    result = run_block(pattern(output_cols=["k", "v"]), [{"text": "a=1 b=2"}, {"text": "-"}])
    assert [(row["k"], row["v"]) for row in result.rows] == [("a", "1"), ("b", "2")]
    assert [reject.error for reject in result.rejects] == ["NothingParsed"]


def test_a_match_without_groups_is_stripped_then_cleaned() -> None:
    result = run_block(pattern(parsing_pattern=r"\w+. ?", parser_cleanup_tags=["!"]), [{"text": "ho! hi!"}])
    assert values(result) == ["ho", "hi"]


def test_columns_without_a_group_are_never_made_and_told() -> None:
    block = pattern(output_cols=["k", "v", "w"])
    assert run_block(block, [{"text": "a=1"}]).columns == ["text", "k", "v"]
    assert list(block.doubts(Columns())) == ["the pattern has 2 group(s); these columns are never made: w."]


def test_a_pattern_takes_lists_of_texts_too() -> None:
    result = run_block(pattern(output_cols=["k", "v"], parser_cleanup_tags=["1"]), [{"text": ["a=1", "b=2 c=3"]}])
    assert result.rows == [{"text": ["a=1", "b=2 c=3"], "k": ["a", "b", "c"], "v": ["", "2", "3"]}]


@pytest.mark.parametrize("fields", [{"column_name": "text"}, {"input_cols": []}, {"input_cols": ["a", "b"]}])
def test_a_pattern_needs_one_column(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="has to name one column to parse"):
        pattern(**fields)


def test_input_cols_need_a_pattern() -> None:
    with pytest.raises(ValidationError, match="needs a 'parsing_pattern'"):
        pattern(parsing_pattern="")
