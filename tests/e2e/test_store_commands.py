"""Keeping a store in order around real runs: nothing is lost that a run needs, nothing is paid twice."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from sdg_prefect import generate
from sdg_prefect.cli.app import app
from sdg_prefect.errors import RejectedRows
from sdg_prefect.simulator import SimulatedModel
from sdg_prefect.store.housekeeping.holdings import holdings, run_entries, total
from sdg_prefect.store.housekeeping.survey import Survey
from sdg_prefect.store.root import Root
from tests.damage import flip
from tests.s3 import note_requests

if TYPE_CHECKING:
    from tests.e2e.conftest import Project, Row

pytestmark = pytest.mark.e2e

ROWS = 12
CALLS = 2 * ROWS
CONCURRENCY = 4
WORDS = ("--shard-size", "3", "--concurrency", str(CONCURRENCY))
EVERYTHING = ("--older-than", "0s", "--unreferenced", "--damaged", "--ledger", "--yes")


def store(project: Project, *words: str, code: int = 0, storage: str = "") -> Any:
    """Give a ``store`` command and return what it prints as JSON."""
    ran = CliRunner().invoke(app, ["store", *words, "--storage", storage or str(project.store), "--json"])
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout)


def run(project: Project, model: SimulatedModel, count: int = ROWS, storage: str = "") -> list[Row]:
    """Run on so many seeds to a good end, and return the rows."""
    return project.generate(project.documents(count), model.url, storage=storage or project.store, shard_size=3)


def paid(model: SimulatedModel) -> int:
    """Return how often the model was asked."""
    return int(model.stats()["completions"])


def test_everything_pruned_is_a_store_afresh(project: Project, model: SimulatedModel) -> None:
    rows = run(project, model)
    listed = store(project, "list")
    assert [(entry["status"], entry["rows_out"], entry["llm_calls"]) for entry in listed] == [("completed", ROWS, CALLS)]
    pruned = store(project, "prune", *EVERYTHING)
    assert (pruned["completions"], pruned["removed"]) == (CALLS, pruned["files"])
    assert [path for path in project.store.rglob("*") if path.is_file() and path.stat().st_size] == []
    assert run(project, model) == rows
    assert paid(model) == 2 * CALLS
    assert store(project, "verify")["damaged"] == []


def test_replies_that_stay_are_not_paid_again(project: Project, model: SimulatedModel) -> None:
    rows = run(project, model)
    pruned = store(project, "prune", "--older-than", "0s", "--unreferenced", "--damaged", "--yes")
    assert (pruned["completions"], pruned["completions_kept"]) == (0, CALLS)
    assert not any((project.store / "checkpoints").iterdir())
    assert run(project, model) == rows
    assert paid(model) == CALLS
    assert project.report()["llm_replayed"] == CALLS


def test_only_what_no_other_run_refers_to_goes_with_a_run(project: Project, model: SimulatedModel) -> None:
    run(project, model, ROWS // 2)
    rows = run(project, model)
    first, second = (str(entry["run_id"]) for entry in store(project, "list"))
    shared = store(project, "prune", "--run", first, "--yes")
    assert shared["parts"].keys() == {"inputs", "runs"}
    assert run(project, model) == rows
    assert paid(model) == CALLS
    kept = store(project, "prune", "--run", second, "--yes")
    assert kept["parts"].keys() == {"runs"}
    assert store(project, "verify")["damaged"] == []


def test_a_run_goes_on_while_everything_is_pruned_around_it(project: Project, model: SimulatedModel) -> None:
    expected = project.generate(project.documents(ROWS), model.url, storage=project.folder / "elsewhere")
    run(project, model, ROWS // 2)
    mine = project.flow.read_text("utf-8")
    project.write("flow.yaml", mine.replace("output_cols: [answer]", "output_cols: [response]"))
    run(project, model, ROWS // 2)
    project.write("flow.yaml", mine)
    before = paid(model)
    project.seeds(ROWS)
    model.change(latency=0.3)
    running = project.start(model.url, *WORDS)
    running.wait_for(lambda: paid(model) >= before + 4, "the fourth reply")
    pruned = store(project, "prune", *EVERYTHING)
    assert pruned["files_kept_for_runs"]
    assert pruned["parts"].keys() == {"checkpoints", "runs"}
    assert store(project, "list")[-1]["status"] == "running"
    assert running.poll() is None
    ran = running.wait()
    assert ran.code == 0, ran.stderr
    assert project.output() == expected
    assert paid(model) == before + CALLS // 2
    assert store(project, "verify")["damaged"] == []


def test_what_a_killed_run_has_paid_for_survives_a_prune(project: Project, model: SimulatedModel) -> None:
    project.seeds(ROWS)
    model.change(latency=0.2)
    killed = project.start(model.url, *WORDS)
    killed.wait_for(lambda: paid(model) >= 6, "the sixth reply")
    killed.send(signal.SIGKILL)
    killed.wait()
    model.change(latency=0.0)
    (entry,) = store(project, "list")
    assert (entry["status"], entry["rows_in"]) == ("crashed", None)
    assert "ledger" not in store(project, "prune", "--unreferenced", "--yes")["parts"]
    assert store(project, "verify")["damaged"] == []
    run(project, model)
    assert paid(model) <= CALLS + CONCURRENCY
    assert project.report()["llm_calls"] + project.report()["llm_replayed"] == CALLS


def test_what_is_damaged_is_found_made_again_and_pruned(project: Project, model: SimulatedModel) -> None:
    rows = run(project, model)
    data = next((project.store / "checkpoints").rglob("*.arrow"))
    flip(data)
    (finding,) = store(project, "verify", code=1)["damaged"]
    assert finding == {"path": str(data.relative_to(project.store)), "problem": "is not what was written"}
    assert run(project, model) == rows
    assert paid(model) == CALLS
    verified = store(project, "verify")
    assert verified["damaged"] == []
    assert verified["set_aside"]
    assert store(project, "prune", "--damaged", "--yes")["parts"].keys() == {"damaged"}
    assert store(project, "verify")["set_aside"] == 0


def test_rejected_rows_are_written_with_their_reasons(project: Project, model: SimulatedModel) -> None:
    model.change(malformed_share=1.0)
    with pytest.raises(RejectedRows):
        generate(project.flow, project.documents(4), api_base=model.url, storage=project.store)
    target = str(project.folder / "again.jsonl")
    words = ["rejects", "--storage", str(project.store)]
    written = CliRunner().invoke(app, [*words, "--block", "ask", "--output", target])
    assert written.exit_code == 0, written.output
    assert written.stdout.splitlines()[-1] == f"rows: {target}"
    rows = project.output("again.jsonl")
    assert [row["document"] for row in rows] == [row["document"] for row in project.documents(4)]
    assert {row["reject_block"] for row in rows} == {"ask"}
    lines = CliRunner().invoke(app, [*words, "--json", "--limit", "1"]).stdout.splitlines()
    assert json.loads(lines[0])["row"] == {"document": rows[0]["document"]}


@pytest.mark.long
def test_a_store_on_s3_is_kept_in_order_in_the_same_way(project: Project, model: SimulatedModel, bucket: str) -> None:
    place = f"s3://{bucket}/store"
    rows = run(project, model, storage=place)
    with pytest.MonkeyPatch.context() as patched:
        asked = note_requests(patched)
        survey = Survey.of(Root.at(place))
        files, size = total(holdings(survey))
    assert len(asked) <= 3, asked
    assert files > 30
    found = store(project, "size", storage=place)
    assert (found["files"], found["size"]) == (files, size)
    assert [(entry.status, entry.llm_calls) for entry in run_entries(survey)] == [("completed", CALLS)]
    assert store(project, "verify", storage=place)["damaged"] == []
    pruned = store(project, "prune", "--older-than", "0s", "--yes", storage=place)
    assert pruned["completions_kept"] == CALLS
    assert run(project, model, storage=place) == rows
    assert paid(model) == CALLS
    pruned = store(project, "prune", *EVERYTHING, storage=place)
    assert pruned["completions"] == CALLS
    assert run(project, model, storage=place) == rows
    assert paid(model) == 2 * CALLS
