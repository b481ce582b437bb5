"""How a run is drawn: its funnel, its progress, the time that is left."""

from __future__ import annotations

import pytest

from sdg_prefect.counts import Counts
from sdg_prefect.report.counting import Counting
from sdg_prefect.report.funnel import bar, bars, funnel, live_markdown, reasons, span

ASKED = Counts(rows_in=100, rows_out=80, gave_rows=80, filtered=15, rejected=5)
KEPT = Counts(rows_in=80, rows_out=20, gave_rows=20, deduplicated=60)


def test_a_bar_is_as_long_as_its_share() -> None:
    assert bar(0) == "░" * 20
    assert bar(1) == bar(7) == "█" * 20
    assert bar(0.5) == "█" * 10 + "░" * 10
    assert bar(1 / 160) == "▏" + "░" * 19


def test_a_funnel_shows_where_the_rows_went() -> None:
    lines = funnel(100, {"ask | twice": ASKED, "keep": KEPT})
    assert lines[0] == "| block | rows in | rows out |  | filtered | duplicates | rejected |"
    assert lines[2] == f"| ask \\| twice | 100 | 80 | `{bar(0.8)}` | 15 | · | 5 |"
    assert lines[3] == f"| keep | 80 | 20 | `{bar(0.2)}` | · | 60 | · |"
    assert len(set(line.replace("\\|", "").count("|") for line in lines)) == 1


def test_bars_show_how_many_rows_are_left() -> None:
    assert bars(4, {"ask": 4, "keep": 1})[2:] == [f"| ask | 4 | `{bar(1)}` |", f"| keep | 1 | `{bar(0.25)}` |"]


def test_kinds_of_rows_that_no_block_has_are_no_columns() -> None:
    assert "filtered" not in funnel(80, {"keep": KEPT})[0]
    assert funnel(0, {}) == ["| block | rows in | rows out |  |", "|---|--:|--:|:--|"]


def test_reasons_are_told_from_the_most_frequent_one_and_bounded() -> None:
    lines = reasons({("ask", "NothingParsed"): 3, ("judge", "Timeout"): 12, ("ask", "Refused"): 1, ("ask", "OverLong"): 1}, 2)
    assert lines[2:] == ["| judge | Timeout | 12 |", "| ask | NothingParsed | 3 |", "| others |  | 2 |"]
    assert reasons({}, 2) == []


@pytest.mark.parametrize(("seconds", "text"), [(3.4, "3 s"), (89, "89 s"), (90, "2 min"), (5300, "88 min"), (7500, "2 h 5 min")])
def test_a_span_of_time_is_written_for_people(seconds: float, text: str) -> None:
    assert span(seconds) == text


def counted() -> Counting:
    """Return how far a run is whose first block is half done, and whose second has not begun."""
    counting = Counting()
    counting.begin("small", ["ask", "keep"], 100)
    counting.shard_started("ask", 50)
    for _ in range(50):
        counting.call_done("ask", {"llm_calls": 1, "tokens_in": 10, "tokens_out": 10, "cost_usd": 0.01})
    counting.shard_done("ask", Counts(rows_in=50, rows_out=25, filtered=25, llm_calls=50, cost_usd=0.5), replayed=False)
    return counting


def test_the_share_that_is_done_counts_rows_that_later_blocks_will_get() -> None:
    standing = counted().standing()
    # 50 of 100 rows are through the first block, and half of them will come to the second.
    assert standing.share == pytest.approx(50 / 150)
    assert (standing.calls, standing.calls_in_all, standing.usd_in_all) == (50, None, None)
    assert standing.seconds_left is not None
    low, likely, high = (seconds / standing.seconds for seconds in standing.seconds_left)
    assert (low, likely, high) == pytest.approx((2 * (1 - 50**-0.5), 2, 2 * (1 + 50**-0.5)))


def test_calls_in_flight_may_be_nearly_done() -> None:
    counting = counted()
    before = counting.standing()
    counting.watch_calls(lambda: {"ask": 50})
    after = counting.standing()
    assert before.seconds_left is not None
    assert after.seconds_left is not None
    assert after.seconds_left.low / after.seconds == pytest.approx(before.seconds_left.low / before.seconds / 2)


def test_a_run_that_is_done_has_no_time_left() -> None:
    counting = counted()
    counting.shard_done("ask", Counts(rows_in=50, rows_out=25, filtered=25), replayed=True)
    counting.shard_done("keep", Counts(rows_in=50, rows_out=50), replayed=False)
    assert (counting.standing().share, counting.standing().seconds_left) == (1.0, None)


def test_a_run_without_rows_is_no_division_by_zero() -> None:
    counting = Counting()
    counting.begin("empty", ["ask"], 0)
    assert counting.standing().share == 0.0
    assert "0% done" in live_markdown(counting.standing(), 0.0)


def test_progress_tells_rows_calls_money_and_that_the_run_is_paused() -> None:
    text = live_markdown(counted().standing(), 12.34, "Paused: nothing is sent.")
    assert "33% done" in text
    assert "**Paused: nothing is sent.**" in text
    assert "left" not in text
    assert "| ask | 50 | 25 |" in text
    assert "50 calls, 12.3 a second, 1,000 tokens, $0.5000." in text
