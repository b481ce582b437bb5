"""A run that is stopped, softly or not at all softly: the same command goes on from there."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from sdg_prefect.engine import server
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.servers import ask

if TYPE_CHECKING:
    from tests.e2e.commands import Ran
    from tests.e2e.conftest import Project, Row

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROWS = 12
CALLS = 2 * ROWS
CONCURRENCY = 4
UNFINISHED = {"SCHEDULED", "PENDING", "RUNNING", "CANCELLING"}
NEVER = "100000"
"""Seconds: longer than any test."""
WORDS = ("--shard-size", "3", "--concurrency", str(CONCURRENCY))


def stopped_in_the_middle(project: Project, model: SimulatedModel, number: signal.Signals) -> Ran:
    """Start a run, stop it by a signal after some replies, and let the model be quick from then on."""
    project.seeds(ROWS)
    model.change(latency=0.2)
    before = model.stats()["completions"]
    run = project.start(model.url, *WORDS)
    run.wait_for(lambda: model.stats()["completions"] >= before + 6, "the sixth reply")
    run.send(number)
    ran = run.wait()
    assert 6 <= model.stats()["completions"] - before < CALLS
    assert not (project.folder / "out.jsonl").exists()
    model.change(latency=0.0)
    return ran


def expected_rows(project: Project, model: SimulatedModel) -> list[Row]:
    """Return the rows of a run that nobody stops."""
    rows = project.generate(project.documents(ROWS), model.url, storage=project.folder / "elsewhere")
    assert len(rows) == ROWS
    return rows


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on_and_does(project: Project, model: SimulatedModel, number: signal.Signals) -> None:
    expected = expected_rows(project, model)
    before = model.stats()["completions"]
    stopped = stopped_in_the_middle(project, model, number)
    assert stopped.code == 130
    assert "the same command goes on from here" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert project.report()["status"] == "interrupted"
    assert_nothing_runs(project)
    assert project.generate(str(project.folder / "seeds.jsonl"), model.url, shard_size=3) == expected
    assert model.stats()["completions"] - before == CALLS
    assert project.report()["llm_calls"] + project.report()["llm_replayed"] == CALLS


def assert_nothing_runs(project: Project, flow: str = "small") -> None:
    """Check that Prefect shows neither the run, nor its pipelines, nor their shards as running."""
    managed = server.status()
    assert managed is not None

    def find(kind: str, by: str, value: str) -> list[dict[str, Any]]:
        asked = {kind: {by: {"any_": [value]}}}
        found: list[dict[str, Any]] = ask("POST", f"{managed.api_url}/{kind}/filter", json=asked).json()
        return found

    def left() -> list[str]:
        (whole,) = find("flow_runs", "name", f"{flow} {project.report()['run_id']}")
        runs = [whole, *find("flow_runs", "parent_flow_run_id", whole["id"])]
        runs += [task for run in list(runs) for task in find("task_runs", "flow_run_id", run["id"])]
        return [f"{run['name']} {run['state_type']}" for run in runs if run["state_type"] in UNFINISHED]

    project.wait_for(lambda: not left(), "the end of every run", 20)


def test_a_killed_run_pays_again_only_for_what_was_in_flight(project: Project, model: SimulatedModel) -> None:
    expected = expected_rows(project, model)
    before = model.stats()["completions"]
    assert stopped_in_the_middle(project, model, signal.SIGKILL).code == -signal.SIGKILL
    again = project.run(model.url, *WORDS)
    assert again.code == 0, again.stderr
    assert project.output() == expected
    assert model.stats()["completions"] - before <= CALLS + CONCURRENCY
    assert again.report["llm_calls"] + again.report["llm_replayed"] == CALLS


def assert_interrupted(ran: Ran) -> None:
    """Check how a stopped command ends."""
    assert ran.code == 130, ran.stderr
    assert "the same command goes on from here" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_calls_in_flight_at_the_first_signal_are_kept_and_none_is_sent_after_it(
    project: Project, model: SimulatedModel, number: signal.Signals
) -> None:
    project.seeds(ROWS)
    model.change(latency=5.0)
    run = project.start(model.url, *WORDS, SDG_PREFECT_DRAIN_SECONDS="200")
    run.wait_for(lambda: model.stats()["in_flight"] == CONCURRENCY, "the first calls")
    run.send(number)
    stopped = run.wait()
    assert_interrupted(stopped)
    assert f"stopping: waiting up to 200 s for {CONCURRENCY} calls in flight; Ctrl-C again to stop at once" in stopped.stderr
    assert f"{CONCURRENCY} calls of this run paid for and kept" in stopped.stderr
    assert model.stats()["calls"] == model.stats()["completions"] == CONCURRENCY
    report = stopped.report
    assert report == project.report()
    assert (report["status"], report["rows_in"], report["rows_out"], report["llm_calls"]) == ("interrupted", ROWS, 0, CONCURRENCY)
    ask = report["blocks"][0]
    assert ask["rows_in"] == ask["gave_rows"] == 3, "the shard that had all its answers is finished"
    assert_nothing_runs(project)
    model.change(latency=0.0)
    again = project.run(model.url, *WORDS)
    assert (again.code, len(project.output())) == (0, ROWS)
    assert model.stats()["completions"] == CALLS
    assert (again.report["llm_calls"], again.report["llm_replayed"]) == (CALLS - CONCURRENCY, CONCURRENCY)


def test_a_second_ctrl_c_ends_at_once(project: Project, model: SimulatedModel) -> None:
    project.seeds(ROWS)
    model.change(latency=300.0)
    run = project.start(model.url, *WORDS, SDG_PREFECT_DRAIN_SECONDS=NEVER)
    run.wait_for(lambda: model.stats()["in_flight"] == CONCURRENCY, "the first calls")
    run.send(signal.SIGINT)
    run.wait_for(lambda: "Ctrl-C again to stop at once\n" in run.said(), "the offer to stop at once")
    run.send(signal.SIGINT)
    stopped = run.wait()
    assert_interrupted(stopped)
    assert f"{CONCURRENCY} calls in flight given up" in stopped.stderr
    assert model.stats()["completions"] == 0
    assert (stopped.report["status"], stopped.report["llm_calls"]) == ("interrupted", 0)
    assert_nothing_runs(project)


def test_calls_in_flight_are_waited_for_no_longer_than_the_setting_says(project: Project, model: SimulatedModel) -> None:
    project.seeds(ROWS)
    model.change(latency=300.0)
    run = project.start(model.url, *WORDS, SDG_PREFECT_DRAIN_SECONDS="0.5")
    run.wait_for(lambda: model.stats()["in_flight"] == CONCURRENCY, "the first calls")
    run.send(signal.SIGTERM)
    stopped = run.wait()
    assert_interrupted(stopped)
    assert f"{CONCURRENCY} calls in flight given up" in stopped.stderr
    assert (model.stats()["calls"], model.stats()["completions"]) == (CONCURRENCY, 0)
    assert_nothing_runs(project)


WAITS = {
    "for the next attempt": (
        {"error_5xx_share": 1.0},
        {"SDG_PREFECT_CALL_BACKOFF": NEVER, "SDG_PREFECT_CALL_BACKOFF_MAX": NEVER},
    ),
    "as long as the endpoint says": ({"error_429_share": 1.0, "retry_after": 1e5}, {}),
    "for the shard's next attempt": (
        {"error_5xx_share": 1.0},
        {"SDG_PREFECT_CALL_ATTEMPTS": "1", "SDG_PREFECT_TASK_BACKOFF": NEVER},
    ),
}


@pytest.mark.parametrize("wait", WAITS)
def test_waits_that_are_not_calls_end_at_once(project: Project, model: SimulatedModel, wait: str) -> None:
    project.seeds(ROWS)
    faults, variables = WAITS[wait]
    model.change(**faults)
    run = project.start(model.url, *WORDS, SDG_PREFECT_DRAIN_SECONDS=NEVER, **variables)
    least = CONCURRENCY if "endpoint" in wait else ROWS
    run.wait_for(lambda: sum(model.stats()["by_status"].values()) >= least, "the first failures")
    calls = model.stats()["calls"]
    run.send(signal.SIGINT)
    assert_interrupted(run.wait())
    assert (model.stats()["calls"], model.stats()["completions"]) == (calls, 0)
    assert project.report()["status"] == "interrupted"
    assert_nothing_runs(project)


def test_a_look_at_the_endpoint_ends_at_once(project: Project) -> None:
    project.seeds(ROWS)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        run = project.start(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", *WORDS, SDG_PREFECT_DRAIN_SECONDS=NEVER)
        silent.settimeout(120)
        with closing(silent.accept()[0]):
            run.send(signal.SIGINT)
            assert_interrupted(run.wait())
        silent.settimeout(0)
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert_nothing_runs(project)


COPIES = """\
- block_type: DuplicateColumns
  block_config: {block_name: copy, columns_map: {document: again}}
"""


def test_a_signal_while_the_output_is_written_leaves_the_old_file_or_the_new_one(project: Project) -> None:
    project.write("copies.yaml", COPIES)
    project.seeds({"document": f"{place} " * 40} for place in range(40_000))
    project.write("out.jsonl", "old\n")
    usual = ("run", "copies.yaml", "--input", "seeds.jsonl", "--output", "out.jsonl", "--storage", "store")
    run = project.command(*usual)
    run.wait_for(lambda: any(project.folder.glob(".out.jsonl.*.tmp")), "the writing of the output")
    run.send(signal.SIGINT)
    ran = run.wait()
    assert "Traceback" not in ran.stderr
    if ran.code:
        assert_interrupted(ran)
        assert (project.folder / "out.jsonl").read_text("utf-8") == "old\n"
    else:
        assert len(project.output()) == 40_000
    assert not list(project.folder.glob(".out.jsonl.*"))


SCRIPT = """\
import asyncio, sys
from sdg_prefect import generate

def work():
    generate("flow.yaml", "seeds.jsonl", api_base=sys.argv[1], storage="store", shard_size=3, concurrency=4)

async def cell():
    work()

asyncio.run(cell()) if sys.argv[2] == "notebook" else work()
"""


@pytest.mark.parametrize("place", [pytest.param("script", marks=pytest.mark.long), "notebook"])
def test_ctrl_c_in_python_keeps_what_is_in_flight(project: Project, model: SimulatedModel, place: str) -> None:
    project.seeds(ROWS)
    model.change(latency=5.0)
    command = [sys.executable, "-c", SCRIPT, model.url, place]
    variables = {**os.environ, "SDG_PREFECT_DRAIN_SECONDS": "200"}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=project.folder, env=variables, stderr=pipe, text=True, start_new_session=True) as process:
        project.wait_for(lambda: model.stats()["in_flight"] == CONCURRENCY, "the first calls")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=300)
    assert "KeyboardInterrupt" in stderr or "Interrupted" in stderr
    assert process.returncode != 0
    assert model.stats()["calls"] == model.stats()["completions"] == CONCURRENCY
    model.change(latency=0.0)
    assert len(project.generate(str(project.folder / "seeds.jsonl"), model.url, shard_size=3)) == ROWS
    assert model.stats()["completions"] == CALLS


BROKEN = """\
name: broken
blocks:
- block_type: LLMBlock
  block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
- block_type: Breaks
  block_config: {block_name: break}
"""
BREAKS = """\
from sdg_prefect.blocks import Block, block

@block("Breaks")
class Breaks(Block):
    \"\"\"Fails on the first shard.\"\"\"

    def run(self, rows, context):
        if any(document.startswith("Island 0 ") for document in rows["document"]):
            raise ValueError("it broke")
        return rows
"""


def test_when_a_block_fails_the_calls_of_other_shards_are_kept(project: Project, model: SimulatedModel) -> None:
    project.write("flow.yaml", BROKEN)
    project.write("breaks.py", BREAKS)
    project.seeds(ROWS)
    model.change(latency=1.0)
    failed = project.run(model.url, *WORDS, "--blocks", "breaks.py")
    assert (failed.code, "it broke" in failed.stderr, "Traceback" in failed.stderr) == (1, True, False)
    seen = model.stats()
    assert seen["calls"] == seen["completions"] == failed.report["llm_calls"] >= 3
    assert failed.report["status"] == "failed"
    assert_nothing_runs(project, "broken")
    model.change(latency=0.0)
    project.write("breaks.py", BREAKS.replace("Island 0 ", "Island 99 "))
    assert project.run(model.url, *WORDS, "--blocks", "breaks.py").code == 0
    assert model.stats()["completions"] == ROWS
