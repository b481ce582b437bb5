"""Sums of counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.counts import Counts, Sum
from sdg_prefect.models.completion import Completion

COMPLETIONS = st.builds(
    Completion,
    choices=st.just(()),
    tokens_in=st.integers(0, 9),
    tokens_out=st.integers(0, 9),
    tokens_cached=st.integers(0, 3),
    cost_usd=st.none() | st.integers(0, 8).map(lambda cents: cents / 8),
    replayed=st.booleans(),
)


@given(st.lists(COMPLETIONS, max_size=6))
def test_calls_that_are_counted_one_by_one_come_to_the_sum_of_their_counts(completions: list[Completion]) -> None:
    called = Sum()
    for completion in completions:
        called.add(completion.counted())
    assert called.counts == sum((Counts(**completion.counted()) for completion in completions), Counts())
    assert called.counts.cost_known == all(one.replayed or one.cost_usd is not None for one in completions)
    assert called.counts.bought_usd == sum(one.cost_usd or 0 for one in completions)
