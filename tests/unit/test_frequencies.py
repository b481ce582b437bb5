"""Counts by trait and value: they add up, stay small, and their quantiles are near the true ones."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.frequencies import OTHERS, Frequencies, Histogram, bucket, distance, shares_of

numbers = st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e9)), min_size=1, max_size=60)


def histogram(values: list[float]) -> Histogram:
    """Put numbers into buckets."""
    seen = Frequencies()
    seen.note(("n", bucket(value), 1) for value in values)
    return Histogram(seen["n"])


@given(numbers, st.floats(0, 1))
def test_a_quantile_is_within_five_percent_of_the_true_one(values: list[float], share: float) -> None:
    true = sorted(values)[math.floor(share * (len(values) - 1))]
    found = histogram(values).quantile(share)
    assert found is not None
    assert abs(found - true) <= 0.05 * true + 1e-12


@given(numbers, numbers)
def test_what_was_seen_in_parts_adds_up_to_what_was_seen_at_once(one: list[float], other: list[float]) -> None:
    parts = Frequencies()
    for values in (one, other):
        part = Frequencies()
        part.note(("n", bucket(value), 1) for value in values)
        parts.add(part.to_json())
    whole = Frequencies()
    whole.note(("n", bucket(value), 1) for value in [*one, *other])
    assert parts == whole


@given(numbers)
def test_every_number_is_in_one_bar_of_a_histogram(values: list[float]) -> None:
    bins = histogram(values).bins(12)
    assert sum(one.count for one in bins) == len(values)
    assert len(bins) <= 13
    assert all(one.high == later.low for one, later in pairwise(bins) if one.low)


def test_nothing_has_no_quantile_and_no_bars() -> None:
    empty = Histogram({})
    assert (empty.quantile(0.5), empty.bins(), empty.total) == (None, [], 0)


def test_a_trait_has_a_bounded_number_of_values_and_each_a_bounded_length() -> None:
    seen = Frequencies()
    seen.note(("model", f"{number}-{'x' * 500}", 1) for number in range(1000))
    assert len(seen["model"]) <= 65
    assert seen["model"][OTHERS] == 1000 - 64
    assert max(map(len, seen["model"])) <= 200


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [({"a": 1}, {"a": 7}, 0.0), ({"a": 1}, {"b": 1}, 1.0), ({"a": 3, "b": 1}, {"a": 1, "b": 3}, 0.5), ({}, {}, 0.0)],
)
def test_the_distance_of_two_distributions_is_half_of_what_their_shares_differ(
    one: dict[str, int], other: dict[str, int], apart: float
) -> None:
    assert distance(shares_of(one), shares_of(other)) == pytest.approx(apart)
