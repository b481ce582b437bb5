"""What a run with a target says of it, and how its rows are counted from wave to wave."""

from __future__ import annotations

from sdg_prefect.counts import Counts
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.reaching import Reach
from sdg_prefect.engine.seeding import Seeds
from sdg_prefect.report.run_report import BlockTally
from sdg_prefect.spec.target import Target
from sdg_prefect.store.seeds import seeds_of

ASKED = Counts(rows_in=4, rows_out=4, gave_rows=4, llm_calls=4, tokens_in=40, cost_usd=0.4, bought_usd=0.4)


def test_the_rows_of_an_earlier_wave_are_counted_once_and_so_is_what_they_cost() -> None:
    tally = BlockTally("ask")
    tally.add(ASKED, 1.0, replayed=False)
    tally.begin_again()
    assert (tally.counts.rows_in, tally.counts.llm_calls, tally.counts.cost_usd, tally.shards) == (0, 4, 0.4, 0)
    tally.add_again(ASKED, replayed=False)
    tally.add(ASKED, 1.0, replayed=False)
    assert (tally.counts.rows_in, tally.counts.llm_calls, tally.counts.tokens_in, tally.shards) == (8, 8, 80, 2)
    assert (round(tally.counts.cost_usd, 6), round(tally.counts.bought_usd, 6)) == (0.8, 0.8)
    assert tally.counts.is_conserved


def test_a_report_says_what_was_wanted_tried_and_too_much() -> None:
    tally = BlockTally("ask")
    tally.add(ASKED, 1.0, replayed=False)
    seeds = Seeds(seeds_of([{"a": 1}]), RunOptions(flow="flow.yaml"))
    reach = Reach(Target(rows=4, max_candidates=100), seeds, candidates=20, accepted=5, waves=2)
    assert reach.to_json([tally]) == {
        "rows": 4,
        "accepted": 5,
        "candidates": 20,
        "max_candidates": 100,
        "rows_per_candidate": 0.25,
        "waves": 2,
        "surplus": 1,
        "surplus_usd": 0.08,
        "cost_per_accepted_usd": 0.08,
    }
    assert not reach.is_missed
    nothing = Reach(Target(rows=4, max_candidates=100), seeds)
    assert (nothing.is_missed, nothing.rows, nothing.to_json([])["cost_per_accepted_usd"]) == (True, 4, None)
