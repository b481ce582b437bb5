"""The names and messages of the states in which runs end."""

from __future__ import annotations

import pytest
from prefect.client.schemas.objects import StateType

from sdg_prefect.counts import Counts
from sdg_prefect.engine.artifacts import key_of, link
from sdg_prefect.engine.assets import asset_key
from sdg_prefect.engine.reject_lines import rejects_line
from sdg_prefect.engine.states import completed, completed_plainly, failed
from sdg_prefect.errors import BudgetReached, EndpointError, ReviewPending, ReviewStopped, SdgError
from sdg_prefect.report.run_report import BlockTally, RunReport
from sdg_prefect.store.checkpoints import Reject


def report(status: str = "completed", *, replayed: bool = False) -> RunReport:
    tally = BlockTally("ask")
    tally.add(Counts(rows_in=4, rows_out=3, gave_rows=3, rejected=1, llm_calls=4), 1.0, replayed=replayed)
    return RunReport(status, "20260101-000000-abcdef", "small", 4, 3, [tally], 2.0, "out.jsonl", "store")


def test_a_run_with_rejects_is_completed_and_says_so() -> None:
    state = completed(report("completed_with_rejects"))
    assert (state.type, state.name) == (StateType.COMPLETED, "Completed with rejects")
    assert state.message == "completed with rejects: 4 rows in, 3 rows out, 1 rejected, 4 calls, 0 replayed in 2.0 s"


def test_a_run_that_found_all_its_shards_had_nothing_to_do() -> None:
    state = completed(report(replayed=True))
    assert (state.type, state.name) == (StateType.COMPLETED, "Nothing to do")
    assert state.message is not None
    assert state.message.startswith("All 1 shards were there from earlier runs")
    assert completed(report()).name == "Completed"


@pytest.mark.parametrize("status", ["completed", "completed_with_rejects", "quarantined"])
def test_a_run_of_a_deployment_ends_under_a_name_that_its_page_lists_and_says_the_same(status: str) -> None:
    state = completed_plainly(report(status), {"a": 1})
    assert (state.type, state.name, state.data) == (StateType.COMPLETED, "Completed", {"a": 1})
    assert state.message == completed(report(status)).message


def test_a_run_that_waits_for_a_review_has_not_failed() -> None:
    state = failed(ReviewPending("4 rows wait for a decision.", "Resume this run to give it."))
    assert (state.type, state.name) == (StateType.CANCELLED, "Waits for review")


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (BudgetReached("the budget is used up."), "Stopped by budget"),
        (ReviewStopped("block 'check': stop."), "Stopped by review"),
        (EndpointError("no key.", "Set one."), "Failed"),
        (SdgError("it broke."), "Failed"),
    ],
)
def test_a_run_that_could_not_finish_has_one_line_for_people(error: SdgError, name: str) -> None:
    state = failed(error)
    assert (state.type, state.name, state.message) == (StateType.FAILED, name, str(error))


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("s3://bucket/rows.jsonl", "s3://bucket/rows.jsonl"),
        ("hf:org/name", "hf://org/name"),
        ("/data/my rows [1].jsonl", "file:///data/my-20rows-20-5B1-5D.jsonl"),
    ],
)
def test_the_key_of_an_asset_is_its_address(place: str, key: str) -> None:
    assert asset_key(place) == key


def test_artifacts_have_keys_and_links_that_prefect_takes() -> None:
    assert key_of("My flow_2", "review", "Ist das gut?") == "my-flow-2-review-ist-das-gut"
    assert link("s3://bucket/a (1).jsonl") == "[s3://bucket/a (1).jsonl](s3://bucket/a (1%29.jsonl)"
    assert link("/data/rows.jsonl") == "[/data/rows.jsonl](file:///data/rows.jsonl)"


def test_a_line_about_rejects_names_classes_and_rows_and_nothing_that_is_in_them() -> None:
    rejects = [
        Reject(row_id=f"r{place}", block="ask", error="NothingParsed", message="secret", row='{"a": "secret"}')
        for place in range(5)
    ]
    rejects += [Reject(row_id="t", block="ask", error="Timeout", message="secret", raw="secret")]
    line = rejects_line(rejects, 40)
    assert line == "6 of 40 rows rejected: NothingParsed 5 (rows r0, r1, r2, …), Timeout 1 (row t)"
    many = [Reject(row_id=f"r{place}", block="ask", error=f"E{place}", message="") for place in range(8)]
    assert rejects_line(many, 8).endswith("E4 1 (row r4), others 3")
