"""Conditions on rows: what they look at, what they hold for, and what is wrong with them."""

from __future__ import annotations

import operator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.blocks.conditions import as_condition, condition_names, judge


def holds(condition: Any, *rows: dict[str, Any]) -> list[bool | str]:
    """Ask a condition of rows; where it can say nothing, why."""
    table = pa.Table.from_pylist(list(rows)) if any(rows) else pa.table({"nothing": pa.nulls(len(rows))})
    verdicts = judge(as_condition(condition), table)
    return [verdicts.failures.get(place, bool(found)) for place, found in enumerate(verdicts.holds)]


def test_an_expression_is_asked_of_each_row() -> None:
    rows = [{"score": 4, "lang": "en"}, {"score": 3, "lang": "en"}, {"score": 5, "lang": "de"}]
    assert holds("score >= 4 and lang == 'en'", *rows) == [True, False, False]
    assert holds("not (score >= 4) or lang in ['de', 'fr']", *rows) == [False, True, True]
    assert holds("1 < score <= 4", *rows) == [True, True, False]


def test_it_may_stand_in_double_braces_or_be_a_plain_truth() -> None:
    assert holds("{{ n > 1 }}", {"n": 1}, {"n": 2}) == [False, True]
    assert holds(True, {"n": 1}) == [True]
    assert holds(False, {"n": 1}) == [False]
    assert holds("true", {}, {}) == [True, True]


@pytest.mark.parametrize("condition", ["n > 1", "n < 1", "n >= 1", "n <= 1", "n in [1]", "n not in [1]", "1 in n", "0 < n < 2"])
def test_a_comparison_with_nothing_does_not_hold(condition: str) -> None:
    assert holds(condition, {"n": None}) == [False]


def test_the_rest_of_a_condition_counts_all_the_same() -> None:
    assert holds("n > 1 or keep", {"n": None, "keep": True}) == [True]
    assert holds("n is none", {"n": None}) == [True]
    assert holds("n == 1", {"n": None}, {"n": 1}) == [False, True]


def test_of_a_row_that_it_cannot_compare_it_says_why() -> None:
    (said,) = holds("score >= 4", {"score": "5"})
    assert said == (
        "'score >= 4' cannot be asked of this row: '5' and 4 cannot be compared; "
        "'|int' or '|float' behind a text makes a number of it."
    )
    assert holds("score|int >= 4", {"score": "5"}, {"score": "three"}) == [True, False]


def test_values_inside_of_a_row_are_reached_with_points() -> None:
    assert holds("meta.lang == 'en' and meta.tags|length > 1", {"meta": {"lang": "en", "tags": ["a", "b"]}}) == [True]
    assert holds("meta.lang == 'en'", {"meta": None}) == [False]


def test_it_names_the_columns_that_it_looks_at() -> None:
    names = condition_names("score >= 4 and (lang is defined and lang == 'en') and extra|default(0) < 3")
    assert (set(names.needed), set(names.optional)) == ({"score"}, {"lang", "extra"})


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("lang = 'en'", "Two values are compared with '=='."),
        ("a && b", "Write 'and'."),
        ("a || b", "Write 'or'"),
        ("!a", "Write 'not'"),
        ("score >=", "is wrong"),
        ("a|lenght > 1", "Did you mean 'length'?"),
        ("a.__class__ == 1", "reaches for '__class__'"),
        ("", "has to be an expression"),
        (3, "has to be an expression"),
        (None, "has to be an expression"),
    ],
)
def test_what_is_no_condition_is_told(condition: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?").replace("|", r"\|")):
        as_condition(condition)


def test_a_condition_cannot_leave_the_sandbox() -> None:
    assert str(holds("''.join(['a'] * 9999999)", {"a": 1})[0]).endswith("is not allowed on these values in a prompt.")
    assert "SecurityError" not in str(holds("(a|attr('mro')) == 1", {"a": 1})[0])


values = st.one_of(st.none(), st.integers(-3, 3))


@given(values, values)
def test_ordering_is_that_of_python_wherever_there_is_something_to_order(one: int | None, other: int | None) -> None:
    for sign, ordered in (("<", operator.lt), ("<=", operator.le), (">", operator.gt), (">=", operator.ge)):
        table = pa.table({"a": pa.array([one], pa.int64()), "b": pa.array([other], pa.int64())})
        found = judge(f"a {sign} b", table)
        assert found.failures == {}
        assert bool(found.holds[0]) == (one is not None and other is not None and ordered(one, other))
