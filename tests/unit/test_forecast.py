"""What a run will have taken at its end, told while it goes on."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.counts import Counts
from sdg_prefect.report.forecast import Passage, Range, forecast
from sdg_prefect.report.funnel import span


def passed(rows_in: int, rows_out: int, calls: int = 0, usd: float = 0.0, *, replayed: bool = False) -> Passage:
    """Return a block that is done with one shard, in calls that cost the same."""
    return went_on(Passage(), rows_in, rows_out, calls, usd, replayed=replayed)


def went_on(block: Passage, rows_in: int, rows_out: int, calls: int = 0, usd: float = 0.0, *, replayed: bool = False) -> Passage:
    """Let a block be done with another shard."""
    counts = Counts(rows_in=rows_in, rows_out=rows_out, llm_calls=calls, cost_usd=usd)
    for _ in range(0 if replayed else calls):
        block.add_call(1, usd / calls)
    block.add(counts.as_replayed() if replayed else counts, replayed=replayed)
    return block


def is_exactly(found: Range, number: float) -> bool:
    return found == pytest.approx(Range.exactly(number))


def test_each_block_goes_on_as_it_went() -> None:
    told = forecast(100, [passed(10, 30, 10, 0.1), passed(30, 15), passed(6, 6, 12, 0.6)])
    assert told is not None
    assert told.calls.likely == pytest.approx(100 + 150 * 2)
    assert told.usd.likely == pytest.approx(1.0 + 150 * 0.1)


def test_nothing_is_told_before_each_block_has_shown_what_it_takes() -> None:
    assert forecast(100, [passed(10, 10, 10), Passage()]) is None


def test_a_block_that_gets_no_rows_takes_nothing() -> None:
    told = forecast(4, [passed(4, 0, 4, 0.4), Passage()])
    assert told is not None
    assert is_exactly(told.calls, 4)
    assert is_exactly(told.usd, 0.4)


def test_what_is_there_from_an_earlier_run_makes_the_rest_no_cheaper() -> None:
    told = forecast(100, [went_on(passed(10, 10, 10, 1.0), 50, 50, 50, 5.0, replayed=True)])
    assert told is not None
    assert is_exactly(told.calls, 50)
    assert is_exactly(told.usd, 5.0)


def test_replies_that_the_ledger_gives_make_the_rest_no_cheaper() -> None:
    block = Passage()
    for _ in range(30):
        block.add_call(0, 0.0)
    block.add(Counts(rows_in=30, rows_out=30, replayed=30), replayed=False)
    told = forecast(100, [went_on(block, 10, 10, 10, 1.0)])
    assert told is not None
    assert is_exactly(told.calls, 100)
    assert is_exactly(told.usd, 1.0 + 60 * 0.1)


def test_calls_of_shards_at_work_are_counted_once() -> None:
    block = passed(10, 10, 10, 1.0)
    for _ in range(15):
        block.add_call(1, 0.1)
    for rows, calls, usd in ((20, 25, 2.5), (100, 100, 10.0)):
        told = forecast(rows, [block])
        assert told is not None
        assert is_exactly(told.calls, calls)
        assert is_exactly(told.usd, usd)


def test_calls_of_seeds_are_sure_and_those_of_rows_that_a_filter_leaves_are_not() -> None:
    told = forecast(1000, [passed(20, 10, 20)])
    assert told is not None
    assert is_exactly(told.calls, 1000)
    told = forecast(1000, [passed(20, 10, 20), passed(10, 10, 10)])
    assert told is not None
    assert told.calls.low < 1400 < told.calls.likely < 1600 < told.calls.high <= 2000


def test_rows_that_all_went_the_same_way_are_no_proof_for_the_others() -> None:
    told = forecast(1000, [passed(8, 8, 8), passed(8, 8, 8)])
    assert told is not None
    assert told.calls.low < 1800
    assert told.calls.high == pytest.approx(2000)


def test_prices_that_differ_from_call_to_call_make_the_cost_unsure() -> None:
    block = Passage()
    for usd in (0.1, 0.5, 0.9, 0.1, 0.9):
        block.add_call(1, usd)
    block.add(Counts(rows_in=5, rows_out=5, llm_calls=5, cost_usd=2.5), replayed=False)
    told = forecast(50, [block])
    assert told is not None
    assert told.usd.low < 20 < told.usd.likely < 30 < told.usd.high


@given(
    rows=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=4),
    parts=st.lists(st.integers(1, 10), min_size=1, max_size=4),
)
def test_a_run_whose_rows_are_alike_is_foretold_from_any_part(rows: int, steps: list[tuple[int, int]], parts: list[int]) -> None:
    blocks, seeds, calls = [Passage() for _ in steps], rows, 0
    for times, each in steps:
        calls += seeds * each
        seeds *= times
    for part in parts:
        seeds = max(0, min(part, rows - blocks[0].rows_in))
        for block, (times, each) in zip(blocks, steps, strict=True):
            if seeds:
                went_on(block, seeds, seeds * times, seeds * each)
            seeds *= times
    told = forecast(rows, blocks)
    assert told is not None
    assert round(told.calls.likely) == calls
    assert told.calls.low <= told.calls.likely + 1e-6
    assert told.calls.likely <= told.calls.high + 1e-6


def _kept(chance: random.Random) -> int:
    return int(chance.random() < 0.3)


def _listed(chance: random.Random) -> int:
    return chance.choice((1, 2, 2, 3, 4))


@pytest.mark.parametrize("gives", [_kept, _listed])
@pytest.mark.parametrize("done", [1, 3])
def test_nearly_every_run_ends_within_what_was_foretold_and_the_range_narrows(
    gives: Callable[[random.Random], int], done: int
) -> None:
    chance, held, widths = random.Random(7), 0, []
    for _ in range(60):
        shards = [[gives(chance) for _ in range(25)] for _ in range(40)]
        first, second = Passage(), Passage()
        for shard in shards[:done]:
            went_on(first, 25, sum(shard), 25)
            went_on(second, sum(shard), sum(shard), sum(shard))
        told = forecast(1000, [first, second])
        assert told is not None
        held += told.calls.low <= 1000 + sum(map(sum, shards)) <= told.calls.high
        widths.append(told.calls.high - told.calls.low)
        for shard in shards[done:]:
            went_on(first, 25, sum(shard), 25)
            went_on(second, sum(shard), sum(shard), sum(shard))
        end = forecast(1000, [first, second])
        assert end is not None
        assert is_exactly(end.calls, 1000 + sum(map(sum, shards)))
    assert held >= 54
    assert max(widths) < 2 * 1000


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((590, 600, 610), "about 10 min"),
        ((180, 240, 372), "3 to 6 min"),
        ((60, 80, 120), "60 s to 2 min"),
        ((3000, 4000, 7500), "50 min to 2 h 5 min"),
        ((5.1, 5.2, 5.3), "about 5 s"),
        ((0.1, 0.2, 0.4), "about 0 s"),
    ],
)
def test_a_range_is_one_number_where_it_is_narrow(numbers: tuple[float, float, float], text: str) -> None:
    assert Range(*numbers).text(span) == text
