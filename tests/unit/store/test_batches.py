"""The records of batches in a store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from sdg_prefect.store.batches import StoredBatches
from sdg_prefect.store.housekeeping.pruning import Wanted, choose
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.root import Root

if TYPE_CHECKING:
    import pytest

RECORD = {"id": "batch_1", "keys": ["a", "b"]}


def test_a_record_is_read_by_any_run_until_it_is_removed(tmp_path: Path) -> None:
    mine, others = StoredBatches(Root.at(tmp_path)), StoredBatches(Root.at(tmp_path))
    assert others.read("here", ()) == {}
    mine.write("here", "one", {**RECORD, "id": ""})
    mine.write("here", "one", RECORD)
    mine.write("there", "two", RECORD)
    assert others.read("here", ()) == {"one": RECORD}
    assert others.read("here", {"one"}) == {}
    others.remove("here", "one")
    others.remove("here", "one")
    assert mine.read("here", ()) == {}


def test_a_record_that_cannot_be_read_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    records = StoredBatches(Root.at(tmp_path))
    records.write("here", "one", RECORD)
    records.write("here", "two", RECORD)
    (tmp_path / "batches" / "here" / "two.json").write_bytes(b"{")
    with caplog.at_level("WARNING", "sdg_prefect.run"):
        assert records.read("here", ()) == {"one": RECORD}


def test_records_of_batches_are_removed_only_with_what_was_paid_for(tmp_path: Path) -> None:
    root = Root.at(tmp_path)
    StoredBatches(root).write("here", "one", RECORD)
    later = time.time() + 60
    assert not choose(Survey.of(root), Wanted(unused_since=later, unreferenced=True, damaged=True)).going
    assert set(choose(Survey.of(root), Wanted(unused_since=later, ledger=True)).going) == {"batches/here/one.json"}
