"""Equal values are found by their digests, in order, whatever they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.repeats import digests_of, equal_before


@pytest.mark.parametrize("size", [12, 16])
@given(values=st.lists(st.one_of(st.integers(0, 3), st.text("ab", max_size=2))))
def test_each_value_knows_how_many_equal_ones_stand_before_it(size: int, values: list[int | str]) -> None:
    found = equal_before(digests_of(values, size), size).tolist()
    assert found == [values[:place].count(value) for place, value in enumerate(values)]


@pytest.mark.parametrize("size", [12, 16])
def test_digests_that_differ_in_one_byte_are_not_equal(size: int) -> None:
    digests = [bytes(size)] + [bytes(place == byte for place in range(size)) for byte in range(size)]
    assert not equal_before(b"".join(digests), size).any()
