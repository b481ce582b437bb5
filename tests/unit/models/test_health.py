"""When an endpoint is out, when it is back, and when it is given up."""

from __future__ import annotations

import pytest

from sdg_prefect.models.failures import CallError, judge
from sdg_prefect.models.health import Health, is_sick
from sdg_prefect.settings import Settings

SETTINGS = Settings(endpoint_probes=3, call_backoff=1.0, call_backoff_max=10.0)


def fail(health: Health, *rows: int, is_last: bool = False, is_probe: bool = False) -> list[bool]:
    return [health.note_failure(f"row {row}", is_probe=is_probe, is_last=is_last) for row in rows]


@pytest.mark.parametrize(("is_last", "rows"), [(False, 5), (True, 16)])
def test_it_is_out_when_so_many_rows_failed_one_after_another(is_last: bool, rows: int) -> None:
    health = Health(SETTINGS)
    assert fail(health, *range(rows), is_last=is_last) == [False] * (rows - 1) + [True]
    assert (health.is_out, health.is_gone) == (True, False)


def test_one_row_that_fails_often_counts_once() -> None:
    health = Health(SETTINGS)
    assert fail(health, *[1] * 100, 2, 3, 4) == [False] * 103
    assert fail(health, 5) == [True]


def test_an_answer_in_between_sets_the_count_to_none() -> None:
    health = Health(SETTINGS)
    for _ in range(10):
        fail(health, 1, 2, 3, 4)
        assert health.note_answer() is False
    assert not health.is_out


def test_an_answer_brings_it_back_and_makes_it_as_good_as_new() -> None:
    health = Health(SETTINGS)
    fail(health, *range(5))
    fail(health, 6, 7, is_probe=True)
    assert health.note_answer() is True
    assert (health.is_out, health.probes) == (False, 0)
    assert fail(health, 1, 2, 3, 4) == [False] * 4


def test_it_is_given_up_after_probes_in_vain_and_nothing_else_that_ends_late() -> None:
    health = Health(SETTINGS)
    fail(health, *range(5))
    assert fail(health, *range(100)) == [False] * 100
    assert not health.is_gone
    assert fail(health, 1, 2, 3, is_probe=True) == [True] * 3
    assert health.is_gone


def test_a_refusal_puts_it_out_at_once_until_an_answer() -> None:
    health = Health(SETTINGS)
    assert [health.note_refusal(is_probe=False), health.note_refusal(is_probe=False)] == [True, False]
    assert health.note_refusal(is_probe=True) is True
    assert health.is_gone
    health.note_answer()
    assert not health.is_gone


def test_pauses_grow_up_to_a_bound_and_are_drawn_from_the_whole_of_it() -> None:
    health = Health(SETTINGS)
    fail(health, *range(5))
    for ceiling in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        drawn = [health.pause() for _ in range(300)]
        assert 0 <= min(drawn) < 0.1 * ceiling < 0.9 * ceiling < max(drawn) <= ceiling
        fail(health, 1, is_probe=True)
    health.probes = 100_000
    assert health.pause() <= 10.0


@pytest.mark.parametrize(
    ("status", "message", "sick"),
    [
        (None, "connection refused", True),
        (None, "timed out", True),
        (None, "what is this", True),
        (500, "", True),
        (503, "", True),
        (504, "", True),
        (401, "", True),
        (403, "", True),
        (404, "", True),
        (429, "", False),
        (429, "insufficient_quota", True),
        (400, "", False),
        (403, "content_filter", False),
    ],
)
def test_what_speaks_against_an_endpoint(status: int | None, message: str, sick: bool) -> None:
    assert is_sick(CallError(judge(status, message), message)) is sick
