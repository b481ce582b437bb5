"""Figures in words."""

from __future__ import annotations

from typing import Any

import pytest

from sdg_prefect.report.wording import said, small_usd


@pytest.mark.parametrize(("value", "said"), [(4.1342e-05, "$0.000041"), (0.25, "$0.25"), (12.345, "$12.3"), (1234.5, "$1230")])
def test_the_cost_of_a_row_is_written_without_an_exponent(value: float, said: str) -> None:
    assert small_usd(value) == said


CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}


@pytest.mark.parametrize(
    ("content", "calls", "text"),
    [
        ("Hi", None, "Hi"),
        (None, [], None),
        (None, [CALL, {"custom": {"name": "sing", "input": "la"}}], 'calls look with {"at": "sky"}\ncalls sing with la'),
        ("Let me see.", [CALL], 'Let me see.\ncalls look with {"at": "sky"}'),
    ],
)
def test_calls_of_tools_are_part_of_what_is_said(
    content: str | None, calls: list[dict[str, Any]] | None, text: str | None
) -> None:
    assert said(content, calls) == text
