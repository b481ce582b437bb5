"""Rules of thumb for texts, against values counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.blocks import Columns
from sdg_prefect.blocks.heuristics import FilterByHeuristics
from sdg_prefect.blocks.text_measures import STOP_WORDS, Measures
from sdg_prefect.testing import run_block

PROSE = """\
The miller of the valley keeps a garden behind his house, and in summer he walks to the river before the sun is up.
Roses grow along the wall that faces south; beans climb up poles which his brother cut from hazel.
Nobody has ever seen him water anything, yet even in dry years the plums hang heavy with fruit.
Some people say that an old spring runs below the orchard. Others believe he talks with bees.
When a child asks, he laughs, wipes both hands on the apron and offers half an apple.
"""


def fault(text: Any, **rules: Any) -> str | None:
    block = FilterByHeuristics.model_validate({"block_name": "h", "column": "text", "mark": "fault", **rules})
    found: str | None = run_block(block, [{"text": text}]).rows[0]["fault"]
    return found


def test_each_measure_gives_what_was_counted_by_hand() -> None:
    text = Measures("# One two... three\n- four five.\n* six\n\nOne two three\nOne two three")
    assert len(text.words) == 15
    assert text.symbol_share == pytest.approx(2 / 15)
    assert text.alphabetic_share == pytest.approx(12 / 15)
    assert text.bullet_share == pytest.approx(2 / 5)
    assert text.unended_share == pytest.approx(4 / 5)
    assert text.repeated_line_share == pytest.approx(1 / 5)
    assert Measures("a...\nb…\nc").ellipsis_share == pytest.approx(2 / 3)
    assert Measures("a\n\nb\n\n a ").repeated_paragraph_share == pytest.approx(1 / 3)
    assert Measures("Mr. is one. Two! Three? “Four.” v1.2").sentences == 5
    assert Measures("The cat, that. THE end").stop_words(STOP_WORDS) == 2
    assert Measures("aa bbb c").word_length == 2


def test_repeats_of_runs_of_words_are_counted_in_letters() -> None:
    text = Measures("ab ab ab cdef")
    # "ab ab" comes twice: 2 * 4 of 10 letters; its second time covers two words.
    assert text.top_ngram_share(2) == pytest.approx(0.8)
    assert text.repeated_ngram_share(2) == pytest.approx(0.4)
    assert Measures("a b c").top_ngram_share(2) == 0
    assert Measures("a").repeated_ngram_share(5) == 0


def test_an_empty_text_has_every_measure() -> None:
    text = Measures("")
    assert [text.word_length, text.symbol_share, text.unended_share, text.repeated_paragraph_share, text.top_ngram_share(2)] == [
        0
    ] * 5


@pytest.mark.parametrize(
    ("text", "rules", "expected"),
    [
        ("one two", {"min_words": 3}, "min_words"),
        ("one two three", {"max_words": 2}, "max_words"),
        (None, {"min_words": 1}, "min_words"),
        ("a b", {"min_word_length": 2}, "min_word_length"),
        ("Lorem Ipsum dolor", {"phrases": ["lorem ipsum"]}, "phrases"),
        ("No. Yes.", {"min_sentences": 2}, None),
        ("der die das", {"min_stop_words": 2, "stop_words": ["der", "das"]}, None),
        ("word " * 20, {"max_repeated_ngrams": {3: 0.5}}, "max_repeated_ngrams"),
    ],
)
def test_the_rule_that_a_text_breaks_is_named(text: Any, rules: dict[str, Any], expected: str | None) -> None:
    assert fault(text, **rules) == expected


def test_sets_of_rules_let_prose_pass_and_name_what_is_not() -> None:
    assert fault(PROSE, rules=["gopher", "gopher_repetition"]) is None
    assert fault(PROSE + " {", rules=["c4"]) == "phrases"
    assert fault("buy now " * 60, rules=["gopher"]) == "min_stop_words"
    assert fault("\n".join(["the same line of words that have it"] * 20), rules=["gopher_repetition"]) == "max_repeated_lines"
    assert fault("Too short to be a page.", rules=["gopher"]) == "min_words"


def test_a_rule_of_ones_own_takes_the_place_of_the_sets() -> None:
    assert fault("The ending of that story is to have its heroes be with us.", rules=["gopher"], min_words=5) is None


def test_rows_that_break_a_rule_are_left_out_and_counted_in_the_log() -> None:
    block = FilterByHeuristics(block_name="h", column="text", min_words=2, max_symbols=0.1)
    made = run_block(block, [{"text": "a"}, {"text": "a b"}, {"text": "# b"}, {"text": ""}])
    assert made.rows == [{"text": "a b"}]
    assert made.logs == ("left out: 2 by min_words, 1 by max_symbols",)


def test_no_rule_raises_a_doubt() -> None:
    assert "every row is kept" in next(iter(FilterByHeuristics(block_name="h", column="t").doubts(Columns())))
