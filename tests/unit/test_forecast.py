"""What a run will have taken at its end, told while it goes on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sdg_prefect.counts import Counts
from sdg_prefect.report.forecast import Forecast, Passage, forecast


def passed(rows_in: int, rows_out: int, calls: int = 0, usd: float = 0.0, *, replayed: bool = False) -> Passage:
    block = Passage(calls=calls, usd=usd)
    counts = Counts(rows_in=rows_in, rows_out=rows_out, llm_calls=calls, cost_usd=usd)
    block.add(counts.as_replayed() if replayed else counts, replayed=replayed)
    return block


def test_each_block_goes_on_as_it_went() -> None:
    blocks = [passed(10, 30, 10, 0.1), passed(30, 15), passed(6, 6, 12, 0.6)]
    assert forecast(100, blocks) == Forecast(calls=100 + 150 * 2, usd=1.0 + 150 * 0.1)


def test_nothing_is_told_before_each_block_has_shown_what_it_takes() -> None:
    assert forecast(100, [passed(10, 10, 10), Passage()]) is None


def test_a_block_that_gets_no_rows_takes_nothing() -> None:
    assert forecast(4, [passed(4, 0, 4, 0.4), Passage()]) == Forecast(4, 0.4)


def test_what_is_there_from_an_earlier_run_makes_the_rest_no_cheaper() -> None:
    block = passed(10, 10, 10, 1.0)
    block.add(Counts(rows_in=50, rows_out=50, llm_calls=50, cost_usd=5.0).as_replayed(), replayed=True)
    assert forecast(100, [block]) == Forecast(calls=50, usd=5.0)


def test_calls_of_shards_at_work_are_counted_once() -> None:
    block = passed(10, 10, 10, 1.0)
    block.calls, block.usd = 25, 2.5
    assert forecast(20, [block]) == Forecast(calls=25, usd=2.5)
    assert forecast(100, [block]) == Forecast(calls=100, usd=10.0)


@given(
    rows=st.integers(1, 1000),
    steps=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), min_size=1, max_size=4),
    part=st.integers(1, 10),
)
def test_a_run_whose_rows_are_alike_is_foretold_from_any_part(rows: int, steps: list[tuple[int, int]], part: int) -> None:
    def blocks(seeds: int) -> list[Passage]:
        made = []
        for times, calls in steps:
            made.append(passed(seeds, seeds * times, seeds * calls))
            seeds *= times
        return made

    whole = sum(block.calls for block in blocks(rows))
    told = forecast(rows, blocks(min(rows, part)))
    assert told is not None
    assert round(told.calls) == whole
