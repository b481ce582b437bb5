"""Runs whose blocks are at work on Dask's workers: the same rows, the same limits, and nothing paid twice when a worker dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.engine.runners import dask_cluster
from sdg_prefect.errors import BudgetReached, SdgError, TransientError
from sdg_prefect.settings import settings
from sdg_prefect.simulator import SimulatedModel
from tests.e2e.conftest import beside
from tests.ports import free_port

if TYPE_CHECKING:
    from distributed import LocalCluster

    from tests.e2e.conftest import Project, Row

pytest.importorskip("prefect_dask", reason="the extra 'dask' is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FLOW = """\
name: islands
pipelines:
- name: questions
  blocks:
  - block_type: LLMBlock
    block_config: {block_name: ask, config_path: ask.yaml, model_id: teacher, output_cols: [question]}
    gen_kwargs: {n: 2, temperature: 0.7}
  - block_type: DropDuplicates
    block_config: {block_name: once, columns: [question]}
  - block_type: ShoutOnWorkers
    block_config: {block_name: shout, column: question}
- name: answers
  blocks:
  - block_type: LLMBlock
    block_config: {block_name: reply, config_path: reply.yaml, model_id: teacher, output_cols: [answer]}
"""
SHOUT = '''\
from sdg_prefect import Block, block

@block("ShoutOnWorkers")
class ShoutOnWorkers(Block):
    """Write a column in capitals."""

    column: str

    def run(self, rows, context):
        context.log("shouting")
        return rows.map(lambda row: {self.column: row[self.column].upper()})
'''
DEADLY = '''\
import os, signal
from sdg_prefect import Block, block

@block("DeadlyBlock")
class DeadlyBlock(Block):
    """End the process at one row."""

    def run(self, rows, context):
        if any("Island 3 " in text for text in rows["document"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return rows
'''


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalCluster]:
    """Two worker processes, which are there before a run and after it."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0", silence_logs="ERROR") as made:
        yield made


@pytest.fixture
def islands(project: Project) -> Project:
    """A project with a block of its own and one that waits for all rows."""
    project.write("flow.yaml", FLOW)
    load_own_blocks([str(project.write("shout_blocks.py", SHOUT))])
    return project


def undisturbed(islands: Project, documents: Sequence[Row]) -> bytes:
    """Return the output of a local run that asks another model with the same replies."""
    output = islands.folder / "undisturbed.jsonl"
    with SimulatedModel() as another:
        islands.generate(documents, another.url, output=str(output), storage=islands.folder / "elsewhere")
    return output.read_bytes()


def answered(model: SimulatedModel) -> int:
    """Return how many calls a model has answered."""
    return int(model.stats()["by_status"].get("200", 0))


def test_the_rows_are_those_of_a_local_run_byte_by_byte(islands: Project, model: SimulatedModel, workers: LocalCluster) -> None:
    documents = [*islands.documents(20), *islands.documents(3)]
    expected = undisturbed(islands, documents)
    output = islands.folder / "out.jsonl"
    islands.generate(documents, model.url, output=str(output), runner=f"dask={workers.scheduler_address}")
    assert output.read_bytes() == expected
    assert answered(model) == islands.report()["llm_calls"] == 23 + len(expected.splitlines())
    islands.generate(documents, model.url, output=str(output))
    assert output.read_bytes() == expected
    assert islands.report()["llm_calls"] == 0


def test_limits_hold_over_all_workers_and_a_killed_worker_costs_nothing(
    islands: Project, model: SimulatedModel, workers: LocalCluster
) -> None:
    documents, limit = islands.documents(24), 5
    expected = undisturbed(islands, documents)
    needed = 24 + len(expected.splitlines())
    model.change(latency=0.15)
    victim = workers.workers[0].pid
    output = islands.folder / "out.jsonl"

    def kill() -> None:
        islands.wait_for(lambda: answered(model) >= 8, "the eighth reply")
        os.kill(victim, signal.SIGKILL)

    options = {"runner": f"dask={workers.scheduler_address}", "concurrency": limit, "shard_size": 3}
    with beside(kill):
        islands.generate(documents, model.url, output=str(output), **options)
    assert workers.workers[0].pid != victim
    assert output.read_bytes() == expected
    assert answered(model) == islands.report()["llm_calls"] == needed
    assert model.stats()["peak_in_flight"] == limit


def test_a_budget_stops_a_run_on_workers_and_a_higher_one_lets_it_go_on(
    islands: Project, model: SimulatedModel, workers: LocalCluster
) -> None:
    documents, output = islands.documents(20), islands.folder / "out.jsonl"
    expected = undisturbed(islands, documents)
    options = {"runner": f"dask={workers.scheduler_address}", "shard_size": 4, "concurrency": 4, "output": str(output)}
    with pytest.raises(BudgetReached, match="tokens is used up"):
        islands.generate(documents, model.url, budget_tokens=1500, **options)
    report = islands.report()
    assert report["status"] == "stopped_by_budget"
    assert 1500 <= report["tokens_in"] + report["tokens_out"] < 3000
    assert report["llm_calls"] == answered(model)
    islands.generate(documents, model.url, budget_tokens=10**6, **options)
    assert output.read_bytes() == expected
    assert answered(model) == 20 + len(expected.splitlines())


def test_a_command_with_workers_of_its_own_is_interrupted_without_a_trace_and_another_goes_on(
    islands: Project, model: SimulatedModel
) -> None:
    islands.seeds(16)
    expected = undisturbed(islands, islands.documents(16))
    model.change(latency=0.25)
    words = ("--runner", "dask=2", "--blocks", "shout_blocks.py", "--shard-size", "2", "--concurrency", "4")
    # A process from nothing: no fork of another one may have the children that Dask's workers are.
    run = islands.start(model.url, *words, PYTHONHASHSEED="0")
    run.wait_for(lambda: answered(model) >= 6, "the sixth reply")
    run.send(signal.SIGINT)
    stopped = run.wait()
    assert (stopped.code, stopped.report["status"]) == (130, "interrupted")
    assert "the same command goes on from here" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert stopped.stdout.count("\n") == 1
    islands.wait_for(run.is_gone, "the end of every process of the run", 15)
    model.change(latency=0.0)
    output = islands.folder / "out.jsonl"
    islands.generate(str(islands.folder / "seeds.jsonl"), model.url, output=str(output), shard_size=2)
    assert output.read_bytes() == expected
    assert answered(model) == 16 + len(expected.splitlines())


@pytest.mark.long
def test_a_command_with_workers_of_its_own_ends_and_so_do_they(islands: Project, model: SimulatedModel) -> None:
    islands.seeds(16)
    expected = undisturbed(islands, islands.documents(16))
    run = islands.start(model.url, "--runner", "dask=2", "--blocks", "shout_blocks.py", PYTHONHASHSEED="0")
    done = run.wait()
    assert (done.code, done.report["status"]) == (0, "completed"), done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert done.stdout.count("\n") == 1
    islands.wait_for(run.is_gone, "the end of every process of the run", 15)
    assert (islands.folder / "out.jsonl").read_bytes() == expected


@pytest.mark.long
def test_workers_of_a_run_that_is_killed_outright_end_too(islands: Project, model: SimulatedModel) -> None:
    islands.seeds(16)
    model.change(latency=0.5)
    run = islands.start(model.url, "--runner", "dask=2", "--blocks", "shout_blocks.py", PYTHONHASHSEED="0")
    run.wait_for(lambda: answered(model) >= 1, "the first reply")
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    islands.wait_for(run.is_gone, "the end of every process of the run", 30)


def test_an_address_without_a_cluster_is_told_before_the_first_call(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_cluster, "_REACHED_WITHIN", 0.5)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(SdgError, match=f"there is no Dask cluster at {address}"):
        project.generate(project.documents(2), model.url, runner=f"dask={address}")
    assert model.stats()["calls"] == 0


def test_workers_that_cannot_reach_the_run_are_told_before_the_first_call(
    project: Project, model: SimulatedModel, workers: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDG_PREFECT_DRIVER_HOST", "nowhere.invalid")
    settings.cache_clear()
    with pytest.raises(SdgError, match=r"cannot be reached at http://nowhere\.invalid:.* set SDG_PREFECT_DRIVER_HOST"):
        project.generate(project.documents(2), model.url, runner=f"dask={workers.scheduler_address}")
    assert model.stats()["calls"] == 0


@pytest.mark.long
def test_a_shard_that_kills_every_worker_ends_the_run_and_no_other_shard(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    monkeypatch.setenv("SDG_PREFECT_TASK_RETRIES", "1")
    settings.cache_clear()
    deadly = "- block_type: DeadlyBlock\n  block_config: {block_name: deadly}\n"
    project.write("flow.yaml", deadly)
    load_own_blocks([str(project.write("deadly_blocks.py", DEADLY))])
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), pytest.raises(TransientError) as failed:
        project.generate(project.documents(8), model.url, runner="dask=2", shard_size=1)
    assert "worker after worker was lost at a shard of block 'deadly'" in str(failed.value)
    assert project.report()["blocks"][0]["rows_out"] >= 1
