"""After a run: its page, the story of each row, comparison with another run, gates, and its rows as a dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sdg_prefect.simulator import SimulatedModel
from tests.e2e.conftest import Project
from tests.unit.report.test_page import Elements

pytestmark = pytest.mark.e2e

FLOW = """\
name: small
expect: {{accept_rate: {{min: {accept}}}, length: {{column: question, min: 38, action: {action}}}{more}}}
blocks:
- block_type: LLMBlock
  block_config: {{block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}}
  gen_kwargs: {{n: 2, temperature: 0.7}}
- block_type: FilterByValueBlock
  block_config: {{block_name: keep, filter_column: topic, filter_value: rivers, operation: operator.ne}}
- block_type: DropDuplicates
  block_config: {{block_name: once, columns: [document, question]}}
"""


def prepare(project: Project, *, accept: float = 0.0, action: str = "warn", more: str = "", rows: int = 12) -> None:
    """Write a flow that asks, filters and drops duplicates, and its seeds, of which one fails."""
    project.write("flow.yaml", FLOW.format(accept=accept, action=action, more=more))
    seeds = [{**row, "topic": ("wells", "rivers", "birds")[place % 3]} for place, row in enumerate(project.documents(rows))]
    seeds[0]["document"] = "FAIL <img src=x onerror=alert(1)>"
    project.seeds(seeds)


def told(project: Project, *words: str) -> Any:
    """Give a command, and read the JSON that it prints."""
    ran = project.command(*words, "--storage", "store").wait()
    assert ran.code == 0, ran.stderr
    return json.loads(ran.stdout)


def folder(project: Project) -> Path:
    """Return the folder of the latest run."""
    found: Path = project.store / "runs" / project.report()["run_id"]
    return found


def test_a_run_leaves_a_page_and_the_story_of_every_row(project: Project, model: SimulatedModel) -> None:
    prepare(project)
    reply = json.dumps({"match": "FAIL", "reply": "</pre><script>alert(1)</script>"})
    model.change(replies=project.write("replies.jsonl", reply))
    ran = project.run(model.url, "--keep-ids", "--shard-size", "5", "--allow-rejects")
    assert ran.code == 0, ran.stderr
    page = (folder(project) / "report.html").read_text("utf-8")
    elements = Elements(page)
    assert not {"script", "img"} & elements.names
    assert not elements.unbalanced
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("<details>") >= 6
    asked = project.report()["blocks"][0]
    assert asked["finish_reasons"] == {"stop": 24}
    assert sum(asked["served_models"].values()) == 12
    assert asked["latency_seconds"]["p50"] > 0

    row = project.output()[-1]
    story = told(project, "explain", row["__row_id__"], "--json")
    assert story["is_in_output"]
    assert story["seed"]["row"]["document"] == row["document"]
    (ask, keep, once) = story["steps"]
    (exchange,) = ask["exchanges"]
    assert row["document"] in exchange["asked"][0]["content"]
    assert exchange["model"] == "teacher"
    assert row["question"] in exchange["replies"][0]["text"]
    assert exchange["params"]["n"] == 2
    assert exchange["at"]
    assert (keep["exchanges"], once["exchanges"]) == ([], [])

    # A seed that was filtered, and one that failed, with what came back.
    rejected = project.rejects()[0]
    (fate,) = told(project, "explain", rejected["row_id"], "--json")["afterwards"]
    assert fate["rejected"][0]["raw"] == "</pre><script>alert(1)</script>"
    gone = project.command("explain", story["seed"]["row_id"], "--storage", "store").wait()
    assert "then ask: 1 in, gave 2 rows" in gone.stdout
    lost = project.command("explain", "0" * 24, "--storage", "store").wait()
    assert (lost.code, lost.stdout) == (2, "")


def test_the_rows_of_a_run_are_published_without_parting_those_of_one_seed(project: Project, model: SimulatedModel) -> None:
    prepare(project, rows=60)
    assert project.run(model.url, "--shard-size", "7", "--allow-rejects").code == 0
    made = told(project, "publish", "--output", str(project.folder / "made"), "--split", "train=0.5,test=0.5", "--json")
    parts = [pq.read_table(project.folder / "made" / split["files"][0]).to_pylist() for split in made["splits"]]
    documents = [{row["document"] for row in part} for part in parts]
    assert all(documents)
    assert not documents[0] & documents[1]
    rows = [row for part in parts for row in part]
    assert sorted(map(json.dumps, rows)) == sorted(map(json.dumps, project.output()))
    card = (project.folder / "made" / "README.md").read_text("utf-8")
    assert "| ask | LLMBlock | teacher |" in card
    events = project.command("lineage", "--storage", "store").wait().stdout.splitlines()
    assert [json.loads(event)["eventType"] for event in events] == ["START", "COMPLETE"]


def test_gates_warn_keep_apart_or_fail_and_two_runs_are_compared(project: Project, model: SimulatedModel) -> None:
    prepare(project, action="quarantine", more=", drift: {max: 0.5}")
    first = project.run(model.url, "--allow-rejects")
    assert first.code == 0, first.stderr
    report = first.report
    apart = pq.read_table(folder(project) / "quarantine.parquet").to_pylist()
    assert report["rows_quarantined"] == len(apart) > 0
    assert all(len(row["question"]) < 38 for row in apart)
    assert all(len(row["question"]) >= 38 for row in project.output())
    assert len(project.output()) == report["rows_out"] > 0
    before = (project.folder / "out.jsonl").read_bytes()

    prepare(project, accept=0.99)
    project.write("flow.yaml", FLOW.format(accept=0.99, action="warn", more="").replace("min: 0.99", "min: 0.99, action: fail"))
    failed = project.run(model.url, "--allow-rejects")
    assert failed.code == 1
    assert "accept_rate is not as expected" in failed.stderr
    assert (failed.report["status"], failed.report["llm_calls"]) == ("failed", 0)
    assert (project.folder / "out.jsonl").read_bytes() == before
    assert [gate["holds"] for gate in failed.report["gates"]] == [False, False]

    found = told(project, "report", report["run_id"], failed.report["run_id"], "--json")
    assert {change["where"] for change in found["flow"]} == {"expect"}
    page = project.command("report", report["run_id"], failed.report["run_id"], "--html", "--storage", "store").wait()
    assert not Elements(Path(page.stdout.strip()).read_text("utf-8")).unbalanced
