"""Figures in words."""

from __future__ import annotations

import pytest

from sdg_prefect.report.wording import small_usd


@pytest.mark.parametrize(("value", "said"), [(4.1342e-05, "$0.000041"), (0.25, "$0.25"), (12.345, "$12.3"), (1234.5, "$1230")])
def test_the_cost_of_a_row_is_written_without_an_exponent(value: float, said: str) -> None:
    assert small_usd(value) == said
