"""What is removed from a store, what stays, and in which order it goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sdg_prefect.errors import StoreError
from sdg_prefect.store.checkpoints import RECORD
from sdg_prefect.store.housekeeping.paid import Paid, count_paid
from sdg_prefect.store.housekeeping.pruning import LOCKS, Pruning, Wanted, choose, remove
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.housekeeping.verifying import verify
from tests.unit.store.housekeeping import DAY, Made

OLD, NEW = "20260101-000000-aaaaaa", "20260201-000000-bbbbbb"
EVERYTHING = Wanted(unused_since=time.time() + DAY, unreferenced=True, damaged=True, ledger=True)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "store")


def chosen(made: Made, wanted: Wanted) -> Pruning:
    return choose(Survey.of(made.root), wanted)


def prune(made: Made, wanted: Wanted) -> set[str]:
    """Prune, and return the units that are gone."""
    before = made.units()
    remove(made.root, chosen(made, wanted).going.values())
    return before - made.units()


def since(days: float) -> float:
    return time.time() - days * DAY


def test_what_only_one_run_refers_to_goes_with_it(made: Made) -> None:
    mine, shared = made.checkpoint("b1", "mine"), made.checkpoint("b1", "shared")
    made.shard("inputs/seeds-2", "a")
    made.completions("a1", "c", [0.5])
    made.run(OLD, {"b1": "a1"}, [mine, shared], "inputs/seeds-2")
    made.run(NEW, {"b1": "a1"}, [shared])
    assert prune(made, Wanted(run_ids=(OLD,))) == {mine, "inputs/seeds-2", f"runs/{OLD}"}
    assert prune(made, Wanted(run_ids=(NEW,))) == {shared, f"runs/{NEW}"}


def test_runs_that_are_removed_together_do_not_keep_what_they_share(made: Made) -> None:
    shared = made.checkpoint("b1", "shared")
    made.run(OLD, {"b1": ""}, [shared])
    made.run(NEW, {"b1": ""}, [shared])
    assert prune(made, Wanted(run_ids=(OLD, NEW))) == {shared, f"runs/{OLD}", f"runs/{NEW}"}


def test_a_killed_run_may_refer_to_every_checkpoint_of_its_blocks(made: Made) -> None:
    one, other = made.checkpoint("b1", "one"), made.checkpoint("b2", "other")
    made.run(OLD, {"b1": "", "b2": ""}, [one, other])
    made.run(NEW, {"b1": ""}, None)
    assert prune(made, Wanted(run_ids=(OLD,))) == {other, f"runs/{OLD}"}
    assert prune(made, Wanted(run_ids=(NEW,))) == {one, f"runs/{NEW}"}


def test_completions_go_only_if_somebody_says_so_and_are_counted_before(made: Made) -> None:
    made.completions("a1", "c", [0.5, 0.25])
    made.completions("a1", "d", [None])
    made.run(OLD, {"b1": "a1"})
    wanted = chosen(made, Wanted(run_ids=(OLD,)))
    assert wanted.ledger_files == []
    assert count_paid(made.root, wanted.paid) == Paid(3, 0.75, cost_known=False)
    wanted = chosen(made, Wanted(run_ids=(OLD,), ledger=True))
    assert count_paid(made.root, wanted.ledger_files) == Paid(3, 0.75, cost_known=False)
    assert str(Paid(3, 0.75, cost_known=False)) == "3 completions that cost $0.7500 and more, of unknown price"
    assert prune(made, Wanted(run_ids=(OLD,), ledger=True)) == {"ledger/a1/c", "ledger/a1/d", f"runs/{OLD}"}


def test_completions_that_are_there_twice_are_counted_once(made: Made) -> None:
    path = made.completions("a1", "c", [0.5])
    made.root.write(made.root.read(f"{path}.jsonl"), f"{path}-000001.jsonl")
    assert count_paid(made.root, Survey.of(made.root).files) == Paid(1, 0.5)


def test_what_a_run_used_lately_is_not_old(made: Made) -> None:
    old, used = made.checkpoint("b1", "old"), made.checkpoint("b1", "used")
    made.shard("inputs/seeds-2", "a")
    made.run(OLD, {"b1": ""}, [old, used], "inputs/seeds-2")
    made.age(40)
    made.run(NEW, {"b1": ""}, [used])
    made.age(10, f"runs/{NEW}")
    assert prune(made, Wanted(unused_since=since(50))) == set()
    assert prune(made, Wanted(unused_since=since(30))) == {old, "inputs/seeds-2", f"runs/{OLD}"}
    assert prune(made, Wanted(unused_since=since(5))) == {used, f"runs/{NEW}"}


def test_a_run_keeps_its_reports_as_long_as_completions_of_it_stay(made: Made) -> None:
    made.completions("a1", "c", [0.5])
    made.run(OLD, {"b1": "a1"})
    made.age(40)
    assert prune(made, Wanted(unused_since=since(30))) == set()
    assert prune(made, Wanted(unused_since=since(30), ledger=True)) == {"ledger/a1/c", f"runs/{OLD}"}


def test_leftovers_are_what_no_record_names(made: Made) -> None:
    kept = made.checkpoint("b1", "kept", "now")
    unfinished = made.shard("checkpoints/b1/unfinished", "half")
    os.unlink(made.folder / "checkpoints/b1/unfinished" / RECORD)
    replaced = made.shard(kept, "before")
    made.shard(kept, "now")
    made.shard("inputs/mine-1", "a")
    made.shard("inputs/nobodys-1", "a")
    made.run(OLD, {"b1": "a1"}, [kept], "inputs/mine-1")
    made.root.write(b"{}", "ledger/unknown/c/cut-short.jsonl")
    made.root.write(b"", LOCKS)
    made.root.write(b"x", "claims/dead")
    made.root.write(b"x", "tmp/work/data.arrow")
    os.mkdir(made.folder / "tmp/empty")
    made.root.write(b"x", f"runs/{OLD}/.report.json.{'0' * 32}.tmp")
    before = set(made.paths())
    pruning = chosen(made, Wanted(unreferenced=True))
    assert pruning.paid == []
    remove(made.root, pruning.going.values())
    gone = before - set(made.paths())
    folders = (unfinished, replaced, "inputs/nobodys-1", "claims/dead", "tmp/work", f"runs/{OLD}/.report.json")
    assert {path for path in before if path.startswith(folders)} == gone
    assert os.listdir(made.folder / "tmp") == []
    assert made.folder.joinpath(kept).is_dir()
    assert verify(Survey.of(made.root)).findings == ()


def test_a_record_that_cannot_be_read_keeps_its_data(made: Made) -> None:
    folder = made.checkpoint("b1", "newer")
    made.root.write(b'{"result": 2}', folder, RECORD)
    assert prune(made, Wanted(unreferenced=True)) == set()


def test_what_was_set_aside_goes_when_it_is_named(made: Made) -> None:
    made.checkpoint("b1", "sound")
    made.root.write(b"x", "damaged/checkpoints-b1/data.arrow")
    assert prune(made, Wanted(damaged=True)) == {"damaged/checkpoints-b1/data.arrow"}


def test_a_living_run_keeps_what_its_flow_may_ask_for(made: Made) -> None:
    mine, other = made.checkpoint("b1", "mine"), made.checkpoint("b2", "other")
    made.completions("a1", "c", [0.5])
    made.completions("a2", "c", [0.5])
    made.shard("inputs/seeds-2", "a")
    made.root.write(b"x", "tmp/work/data.arrow")
    made.run(OLD, {"b2": "a2"}, [other])
    made.run(NEW, {"b1": "a1"}, None)
    heartbeat = made.living(NEW)
    try:
        assert prune(made, EVERYTHING) == {other, "ledger/a2/c", f"runs/{OLD}"}
        assert chosen(made, EVERYTHING).kept == len(made.paths())
    finally:
        heartbeat.end()
    assert prune(made, EVERYTHING) >= {mine, "ledger/a1/c", "inputs/seeds-2", f"runs/{NEW}"}
    assert made.units() == set()


def test_a_living_run_that_has_not_said_what_it_uses_keeps_everything_of_others(made: Made) -> None:
    folder = made.checkpoint("b1", "mine")
    made.completions("a1", "c", [0.5])
    made.run(OLD, {"b1": "a1"}, [folder])
    heartbeat = made.living(NEW)
    try:
        assert prune(made, EVERYTHING) == {f"runs/{OLD}"}
    finally:
        heartbeat.end()


def test_a_run_that_begins_meanwhile_keeps_what_it_may_need(made: Made) -> None:
    folder = made.checkpoint("b1", "mine")
    made.run(OLD, {"b1": ""}, [folder])
    pruning = chosen(made, EVERYTHING)
    made.run(NEW, {"b1": ""}, None)
    heartbeat = made.living(NEW)
    try:
        gone = remove(made.root, pruning.going.values())
    finally:
        heartbeat.end()
    assert {file.path.split("/")[0] for file in gone} == {"runs"}
    assert verify(Survey.of(made.root)).read["checkpoint"] == 1


@pytest.mark.parametrize("steps", range(12))
def test_a_prune_that_is_interrupted_leaves_a_good_store(made: Made, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [made.checkpoint("b1", f"{place}", f"text {place}") for place in range(2)]
    made.completions("a1", "c", [0.5, 0.5])
    made.run(OLD, {"b1": "a1"}, folders)
    pruning = chosen(made, EVERYTHING)
    left, unlink = steps, os.unlink

    def interrupted(path: str) -> None:
        nonlocal left
        if not left:
            raise OSError(5, "Input/output error")
        left -= 1
        unlink(path)

    monkeypatch.setattr(os, "unlink", interrupted)
    with pytest.raises(StoreError, match=r"cannot remove files of .*: Input/output error\."):
        remove(made.root, pruning.going.values())
    monkeypatch.undo()
    survey = Survey.of(made.root)
    assert verify(survey).findings == ()
    assert survey.uses.keys() == {OLD}
    prune(made, EVERYTHING)
    assert made.paths() == []
