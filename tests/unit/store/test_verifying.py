"""What is damaged in a store is found, wherever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdg_prefect.store.checkpoints import RECORD
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.housekeeping.verifying import Finding, verify
from tests.damage import flip
from tests.unit.store.housekeeping import Made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    store = Made(tmp_path / "store")
    store.run("20260101-000000-aaaaaa", {"b1": "a1"})
    return store


def findings(made: Made) -> dict[str, str]:
    return {finding.path: finding.problem for finding in verify(Survey.of(made.root)).findings}


def test_a_sound_store_is_said_to_be_sound(made: Made) -> None:
    made.checkpoint("b1", "one")
    made.shard("inputs/seeds-2", "a")
    made.completions("a1", "c", [0.5])
    made.root.write(b"x", "damaged/long-ago")
    verified = verify(Survey.of(made.root))
    assert verified.to_json() == {
        "read": {"checkpoint": 1, "ledger file": 1, "input": 1, "run": 1},
        "damaged": [],
        "set_aside": 1,
    }


@pytest.mark.parametrize("part", ["checkpoints/b1/one", "inputs/seeds-2"])
def test_data_that_is_not_what_was_written_is_found(made: Made, part: str) -> None:
    data = made.shard(part, "a")
    flip(made.folder / data / "data-00000-of-00001.arrow", -3)
    assert findings(made) == {f"{data}/data-00000-of-00001.arrow": "is not what was written"}
    (made.folder / data / "state.json").unlink()
    assert findings(made)[f"{data}/state.json"] == "is gone"


def test_a_broken_record_is_found(made: Made) -> None:
    folder = made.checkpoint("b1", "one")
    flip(made.folder / folder / RECORD, 40)
    assert list(findings(made)) == [f"{folder}/{RECORD}"]


def test_a_completion_that_cannot_be_read_is_found(made: Made) -> None:
    path = made.completions("a1", "c", [0.5, 0.25])
    flip(made.folder / f"{path}.jsonl", 60)
    assert findings(made) == {f"{path}.jsonl": "has 1 completion that cannot be read"}


def test_a_last_line_that_a_kill_cut_short_is_no_damage(made: Made) -> None:
    path = made.folder / f"{made.completions('a1', 'c', [0.5, 0.25])}.jsonl"
    path.with_suffix(".index").unlink()
    path.write_bytes(path.read_bytes()[:-20])
    assert findings(made) == {}


def test_an_index_of_other_completions_is_found(made: Made) -> None:
    path = made.completions("a1", "c", [0.5, 0.25])
    flip(made.folder / f"{path}.index", -3)
    assert list(findings(made)) == [f"{path}.index"]


def test_a_report_that_cannot_be_read_is_found(made: Made) -> None:
    made.root.write(b"{", "runs", "20260101-000000-aaaaaa", "report.json")
    made.root.write(b"PAR1", "runs", "20260101-000000-aaaaaa", "rejects.parquet")
    assert [path.rsplit("/", 1)[-1] for path in findings(made)] == ["rejects.parquet", "report.json"]


def test_a_finding_says_where_it_is() -> None:
    assert Finding("a/b", "is gone").path == "a/b"
