"""The records of batches in a store."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sdg_prefect.store.batches import StoredBatches
from sdg_prefect.store.housekeeping.pruning import Wanted, choose
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pytest

RECORD = {"id": "batch_1", "keys": ["a", "b"]}


def test_a_record_is_read_by_any_run_until_it_is_removed(place: str) -> None:
    mine, others = StoredBatches(Root.at(place)), StoredBatches(Root.at(place))
    assert others.read("here", ()) == {}
    mine.write("here", "one", {**RECORD, "id": ""})
    mine.write("here", "one", RECORD)
    mine.write("there", "two", RECORD)
    assert others.read("here", ()) == {"one": RECORD}
    assert others.read("here", {"one"}) == {}
    others.remove("here", "one")
    others.remove("here", "one")
    assert mine.read("here", ()) == {}


def test_a_record_that_cannot_be_read_is_passed_over(place: str, caplog: pytest.LogCaptureFixture) -> None:
    root = Root.at(place)
    records = StoredBatches(root)
    records.write("here", "one", RECORD)
    records.write("here", "two", RECORD)
    root.write(b"{", "batches", "here", "two.json")
    with caplog.at_level("WARNING", "sdg_prefect.run"):
        assert records.read("here", ()) == {"one": RECORD}


def test_records_of_batches_are_removed_only_with_what_was_paid_for(place: str) -> None:
    root = Root.at(place)
    StoredBatches(root).write("here", "one", RECORD)
    later = time.time() + 60
    assert not choose(Survey.of(root), Wanted(unused_since=later, unreferenced=True, damaged=True)).going
    assert set(choose(Survey.of(root), Wanted(unused_since=later, ledger=True)).going) == {"batches/here/one.json"}
