"""The commands that keep a store in order, on stores made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.cli.store_text import size_text
from sdg_prefect.store.checkpoints import Reject
from sdg_prefect.store.runs import write_rejects
from tests.unit.store.housekeeping import Made

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Told

OLD, NEW = "20260101-000000-aaaaaa", "20260201-000000-bbbbbb"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.chdir(tmp_path)
    return Made(tmp_path / "store")


@pytest.fixture
def told(told: Told) -> Told:
    """Give a command for the store that was made; return its exit code, stdout and stderr."""
    return lambda *words: told(*words, "--storage", "store")


REPORT = {
    "rows_in": 4,
    "rows_out": 3,
    "rows_rejected": 1,
    "llm_calls": 2,
    "llm_replayed": 0,
    "cost_usd": 0.75,
    "cost_known": True,
}


def two_runs(made: Made) -> None:
    """Make an old run with completions, and a killed one of the same blocks."""
    folder = made.checkpoint("b1", "one")
    made.completions("a1", "c", [0.5, 0.25])
    made.run(OLD, {"b1": "a1"}, [folder], report={**REPORT, "seconds": 2.0, "output": "out.jsonl"})
    made.run(NEW, {"b1": "a1"}, None)


def test_the_runs_are_listed_newest_last(made: Made, told: Told) -> None:
    two_runs(made)
    code, out, _ = told("store")
    assert code == 0
    head, old, new = out.splitlines()
    assert head.split()[:3] == ["run", "flow", "status"]
    assert old.split()[:3] == [OLD, "small", "completed"]
    assert "$0.7500" in old
    assert old.endswith("out.jsonl")
    assert new.split()[:3] == [NEW, "small", "crashed"]
    entries: list[dict[str, Any]] = json.loads(told("store", "list", "--json")[1])
    assert [(entry["run_id"], entry["status"], entry["started"]) for entry in entries] == [
        (OLD, "completed", "2026-01-01T00:00:00+00:00"),
        (NEW, "crashed", "2026-02-01T00:00:00+00:00"),
    ]
    assert {name: entries[0][name] for name in REPORT} == REPORT
    files = made.folder / "runs" / OLD
    assert entries[0]["size"] == sum(file.stat().st_size for file in files.iterdir())


def test_a_run_that_is_on_is_listed_as_running(made: Made, told: Told) -> None:
    two_runs(made)
    heartbeat = made.living(NEW)
    try:
        assert json.loads(told("store", "list", "--json")[1])[1]["status"] == "running"
        assert told("store", "prune", "--run", NEW)[::2] == (2, f"run {NEW} is on. Wait for its end, or stop it first.\n")
    finally:
        heartbeat.end()


def test_the_size_is_told_by_part_and_block(made: Made, told: Told) -> None:
    two_runs(made)
    made.checkpoint("b2", "other")
    found = json.loads(told("store", "size", "--json")[1])
    assert found["size"] == sum(path.stat().st_size for path in made.folder.rglob("*") if path.is_file())
    assert found["files"] == len(made.paths())
    named = {(part["part"], part["key"]): part["name"] for part in found["parts"] if part["key"]}
    assert named == {
        ("checkpoints", "b1"): "block0 (LLMBlock)",
        ("checkpoints", "b2"): "",
        ("ledger", "a1"): "block0 (LLMBlock)",
    }
    assert sum(part["size"] for part in found["parts"] if not part["key"]) == found["size"]
    code, out, _ = told("store", "size")
    assert code == 0
    assert "  block0 (LLMBlock)" in out
    assert "  of no run that is known" in out
    assert out.splitlines()[-1].split()[:2] == ["total", str(found["files"])]


def test_a_prune_is_dry_unless_told_otherwise(made: Made, told: Told) -> None:
    two_runs(made)
    before = made.paths()
    words = ("store", "prune", "--run", OLD, "--run", NEW, "--ledger")
    code, out, err = told(*words)
    assert code == 0
    assert "2 completions that cost $0.7500" in out
    assert err == "nothing was removed yet; --yes removes it.\n"
    assert made.paths() == before
    planned = json.loads(told(*words, "--json")[1])
    assert (planned["completions"], planned["cost_usd"], planned["removed"]) == (2, 0.75, None)
    assert planned["files"] == len(before)
    done = json.loads(told(*words, "--json", "--yes")[1])
    assert done == {**planned, "removed": len(before)}
    assert made.paths() == []


def test_completions_that_stay_are_told_with_what_they_cost(made: Made, told: Told) -> None:
    two_runs(made)
    code, out, err = told("store", "prune", "--older-than", "0s", "--yes")
    assert (code, err) == (0, "removed.\n")
    assert "to stay: 2 completions that cost $0.7500" in out
    assert "--ledger removes them too" in out
    assert {path.split("/")[0] for path in made.paths()} == {"ledger", "runs"}
    assert "there is nothing to remove" in told("store", "prune", "--unreferenced")[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nothing was said to be removed. Name it: --older-than 30d, --run RUN, --unreferenced or --damaged."),
        (("--ledger", "--damaged"), "--ledger says of --older-than or --run that completions may go too. Give one of them."),
        (("--older-than", "soon"), "--older-than takes a time such as 30d or 12h, not 'soon'. The units are s, m, h, d and w."),
        (("--run", "20260101-000000-aaaaab"), f"has no run '20260101-000000-aaaaab'. Did you mean '{OLD}'?"),
    ],
)
def test_a_prune_that_was_not_meant_so_removes_nothing(made: Made, told: Told, words: Sequence[str], says: str) -> None:
    two_runs(made)
    before = made.paths()
    code, out, err = told("store", "prune", "--yes", *words)
    assert (code, out) == (2, "")
    assert err.strip().endswith(says)
    assert made.paths() == before


def test_verify_exits_with_1_if_something_is_damaged(made: Made, told: Told) -> None:
    two_runs(made)
    assert told("store", "verify") == (0, "1 checkpoint, 1 ledger file, 0 inputs, 2 runs: all is sound\n", "")
    (made.folder / "checkpoints/b1/one/result.json").write_text("{")
    code, out, _ = told("store", "verify")
    assert code == 1
    assert out.startswith("checkpoints/b1/one/result.json: is no record of a checkpoint\n")
    code, out, _ = told("store", "verify", "--json")
    assert code == 1
    assert [finding["path"] for finding in json.loads(out)["damaged"]] == ["checkpoints/b1/one/result.json"]


@pytest.mark.parametrize("command", [("list",), ("size",), ("verify",), ("prune", "--unreferenced")])
def test_a_store_that_is_not_there_is_told_in_one_line(made: Made, told: Told, command: Sequence[str]) -> None:
    code, out, err = told("store", *command)
    assert (code, out) == (2, "")
    assert err == f"there is no store at {made.folder}. Name another one with --storage.\n"


def test_sizes_are_said_as_people_say_them() -> None:
    assert [size_text(size) for size in (0, 999, 1000, 999_949, 999_950, 3_400_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "999.9 kB",
        "1.0 MB",
        "3.4 GB",
    ]


def reject(block: str, error: str, row: str, **more: Any) -> Reject:
    return Reject(row_id=row, block=block, error=error, message="m", row=json.dumps({"text": row}), **more)


@pytest.fixture
def rejecting(made: Made) -> Made:
    """A run with three rejects."""
    made.run(OLD, {"b1": ""}, report={"run_id": OLD, "blocks": [{"name": "ask"}, {"name": "judge"}, {"name": "sound"}]})
    made.run(NEW, {"b1": ""}, None)
    rejects = [
        reject("ask", "NothingParsed", "r1", raw="?"),
        reject("ask", "Timeout", "r2", cost_usd=0.25),
        reject("judge", "NothingParsed", "r3"),
    ]
    write_rejects(made.root, OLD, rejects)
    return made


def test_rejects_are_counted_by_block_and_error(rejecting: Made, told: Told) -> None:
    code, out, _ = told("rejects")
    assert code == 0
    assert out.splitlines()[:2] == ["r1  ask: NothingParsed: m  (text: r1)", "r2  ask: Timeout: m  (text: r2)  $0.2500"]
    assert out.splitlines()[3:] == [
        "      1  ask: NothingParsed",
        "      1  ask: Timeout",
        "      1  judge: NothingParsed",
        f"3 rows were rejected in run {OLD}",
    ]


def test_rejects_are_found_by_block_and_error(rejecting: Made, told: Told) -> None:
    code, out, err = told("rejects", "--block", "ask", "--error", "NothingParsed", "--json")
    assert code == 0
    (line,) = out.splitlines()
    found = json.loads(line)
    assert (found["row"], found["block"], found["error"], found["raw"]) == ({"text": "r1"}, "ask", "NothingParsed", "?")
    assert err.splitlines()[-1] == f"1 of 3 rows were rejected in run {OLD}"
    assert told("rejects", "--block", "sound") == (0, f"0 of 3 rows were rejected in run {OLD}\n", "")
    code, _, err = told("rejects", "--block", "asks")
    assert (code, err) == (2, "the run has no block 'asks'. Did you mean 'ask'?\n")


def test_rejects_are_written_as_rows_with_their_reasons(rejecting: Made, told: Told) -> None:
    code, out, _ = told("rejects", "--output", "out.jsonl", "--limit", "2")
    assert code == 0
    assert out.splitlines()[-1] == "rows: out.jsonl"
    rows = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [(row["text"], row["reject_block"], row["reject_error"]) for row in rows] == [
        ("r1", "ask", "NothingParsed"),
        ("r2", "ask", "Timeout"),
    ]
    assert told("rejects", "--output", "out.xlsx")[0] == 2


def test_a_run_without_a_report_is_told_so(rejecting: Made, told: Told) -> None:
    for command in ("report", "rejects"):
        code, _, err = told(command, NEW)
        assert (code, err) == (2, f"run {NEW} has no report: it is still on, or was killed.\n")
