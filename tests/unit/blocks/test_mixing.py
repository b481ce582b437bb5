"""Rows mixed by a recipe: the right shares, by chance, the same each time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdg_prefect.blocks.mixing import MixRows
from sdg_prefect.testing import BlockResult, run_block


def mixed(kinds: list[Any], **config: Any) -> BlockResult:
    block = MixRows.model_validate({"block_name": "m", "column": "kind", **config})
    return run_block(block, [{"n": number, "kind": kind} for number, kind in enumerate(kinds)])


def counts(kinds: list[Any], **config: Any) -> dict[Any, int]:
    return dict(Counter(row["kind"] for row in mixed(kinds, **config).rows))


KINDS = ["a"] * 60 + ["b"] * 20 + ["c"] * 10 + [None]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"shares": {"a": 1, "b": 1}}, {"a": 20, "b": 20}),
        ({"shares": {"a": 3, "b": 1}}, {"a": 60, "b": 20}),
        ({"shares": {"a": 0.5, "b": 0.5}, "total": 10}, {"a": 5, "b": 5}),
        ({"shares": {"a": 1, "others": 1}, "total": 20}, {"a": 10}),
        ({"shares": {"a": 1, "b": 0}}, {"a": 60}),
        ({"shares": {"a": 1, "missing": 1}}, {}),
    ],
)
def test_as_many_rows_of_each_kind_are_kept_as_the_recipe_allows(config: dict[str, Any], expected: dict[str, int]) -> None:
    found = counts(KINDS, **config)
    assert {kind: number for kind, number in found.items() if kind in expected or "others" not in config["shares"]} == expected
    assert sum(found.values()) <= config.get("total", len(KINDS))


def test_other_kinds_share_what_is_left_to_them() -> None:
    found = counts(KINDS, shares={"a": 1, "others": 1}, total=20)
    assert sum(number for kind, number in found.items() if kind != "a") == 10


def test_true_and_one_are_different_kinds() -> None:
    assert [row["kind"] for row in mixed([1, 1, 2], shares={1: 1}).rows] == [1, 1]
    assert counts([True, False], shares={True: 1}) == {True: 1}


def test_rows_are_drawn_by_chance_and_stay_in_their_order() -> None:
    found = [row["n"] for row in mixed(["a"] * 100, shares={"a": 1}, total=50).rows]
    assert found == sorted(found)
    assert 10 < sum(number < 50 for number in found) < 40
    assert "keeps 50 of 100 'a'" in mixed(["a"] * 100, shares={"a": 1}, total=50).logs[0]


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        (
            {"shares": {"chats": 7, "code": 3}},
            [
                "no row has 'chats' in 'kind', of which the recipe wants 70 %, so that none of any kind is kept. Did you mean 'chat'?",
                "no row has 'code' in 'kind', of which the recipe wants 30 %, so that none of any kind is kept. Known: b, chat.",
            ],
        ),
        (
            {"shares": {"chat": 7, "b": 3}, "total": 2},
            ["no row of 'b' is kept: so few are kept in all that 30 % is less than one."],
        ),
        ({"shares": {"chat": 1, "others": 1, "missing": 0}}, []),
    ],
)
def test_a_kind_of_which_nothing_is_left_is_warned_of(config: dict[str, Any], warned: list[str]) -> None:
    assert list(mixed(["chat", "chat", "b", None], **config).warnings) == warned


@settings(max_examples=20)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=30),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 5), min_size=1),
)
def test_no_kind_has_more_than_its_share(kinds: list[str], shares: dict[str, int]) -> None:
    found, whole = counts(kinds, shares=shares), sum(shares.values())
    total = sum(found.values())
    for kind, number in found.items():
        assert number / total <= shares[kind] / whole + len(shares) / total
