"""What a worker does with the work that it is sent, and what it says when it cannot do it."""

from __future__ import annotations

import logging
import platform
import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pytest
import s3fs
from datasets import Dataset

from sdg_prefect.blocks.columns import DuplicateColumns
from sdg_prefect.blocks.context import Context
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.runners.errand import Crew, Errand, UnfitWorker, do_errand, find_obstacle, repeat
from sdg_prefect.engine.runners.line import Line
from sdg_prefect.engine.runners.own_code import OwnModule
from sdg_prefect.engine.working import Assignment
from sdg_prefect.errors import BlockError
from sdg_prefect.plan.plan import Step
from sdg_prefect.plan.sharding import Sizes
from sdg_prefect.rows import with_ids
from sdg_prefect.store.checkpoints import Checkpoint
from sdg_prefect.store.root import Root
from sdg_prefect.store.shards import read_shards, write_shards
from tests.flows import copy
from tests.ports import free_port
from tests.s3 import S3Server

NO_LINE = Line("http://nowhere", "token", "job")


class Talking(DuplicateColumns):
    """Copies, and says so."""

    def run(self, rows: Dataset, context: Context) -> Dataset:
        context.log(f"{len(rows)} rows")
        return super().run(rows, context)


@pytest.fixture
def crew(tmp_path: Path, request: pytest.FixtureRequest) -> Crew:
    """What workers know of a run that is on."""
    root = Root.at(tmp_path / "store")
    run_id = request.node.name
    root.write(b"{}", "runs", run_id, "alive.json")
    return Crew(root, run_id, (), None)


def assignment(crew: Crew, folder: Path, block: str) -> Assignment:
    """Give a block two rows to work on."""
    flow = folder / "flow.yaml"
    flow.write_text(block)
    (step,) = prepare(RunOptions(flow=flow)).plan.steps()
    return _on_rows(crew, step)


def _on_rows(crew: Crew, step: Step) -> Assignment:
    written = write_shards(crew.root, "inputs/rows", [with_ids(pa.table({"a": ["one", "two"]}), ["id-1", "id-2"])])
    return Assignment(crew.root, crew.run_id, step, written.refs, "checkpoints/block/key", Sizes(None, 1))


def test_a_worker_returns_where_the_rows_are(crew: Crew, tmp_path: Path) -> None:
    returned = do_errand(Errand.of(crew, NO_LINE, assignment(crew, tmp_path, copy("a", "b"))))
    assert isinstance(returned.result, Checkpoint)
    (table,) = read_shards(crew.root, returned.result.parts)
    assert table.column("b").to_pylist() == ["one", "two"]
    assert returned.said == []


def test_what_a_worker_logs_is_said_in_the_log_of_the_run(crew: Crew, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    this = assignment(crew, tmp_path, copy("a", "b"))
    talking = Talking(block_name="copy", columns_map={"a": "b"})
    returned = do_errand(Errand.of(crew, NO_LINE, replace(this, step=replace(this.step, block=talking))))
    assert [(one.level, one.text) for one in returned.said] == [(logging.INFO, "copy: 2 rows")]
    caplog.clear()
    with caplog.at_level(logging.INFO, "sdg_prefect.run"):
        repeat(returned.said)
    assert caplog.messages == ["copy: 2 rows"]


def test_an_error_of_a_block_comes_back_as_it_is(crew: Crew, tmp_path: Path) -> None:
    this = assignment(crew, tmp_path, copy("a", "b"))
    lacking = replace(this, step=replace(this.step, block=this.step.block.model_copy(update={"columns_map": {"none": "b"}})))
    returned = do_errand(Errand.of(crew, NO_LINE, lacking))
    assert isinstance(returned.result, BlockError)
    assert str(returned.result).startswith("block 'copy' (DuplicateColumns): ")


def test_blocks_that_the_worker_does_not_have_are_named(crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    this = assignment(crew, tmp_path, copy("a", "b"))
    (tmp_path / "only_here.py").write_text(
        "from sdg_prefect.blocks.columns import DuplicateColumns\n\nclass Mine(DuplicateColumns):\n    pass\n"
    )
    with monkeypatch.context() as here:
        here.syspath_prepend(str(tmp_path))
        mine = import_module("only_here").Mine(block_name="mine", columns_map={"a": "b"})
        errand = Errand.of(crew, NO_LINE, replace(this, step=replace(this.step, block=mine)))
    monkeypatch.delitem(sys.modules, "only_here")
    returned = do_errand(errand)
    assert isinstance(returned.result, UnfitWorker)
    assert "cannot load a block: ModuleNotFoundError: No module named 'only_here'" in str(returned.result)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"version": "9.9"}, "and the run 9.9: install the same"),
        ({"python": "3.0.1"}, f"has Python {platform.python_version()}, and the run 3.0.1: use the same"),
        ({"run_id": "another"}, "does not see the store"),
        ({"own": (OwnModule("sdg_own_b", "b.py", "import nowhere"),)}, "cannot load the blocks of b.py: ModuleNotFoundError"),
        ({"line": Line(f"http://127.0.0.1:{free_port()}", "t")}, "set SDG_PREFECT_DRIVER_HOST to a name by which workers reach"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_worker_says_why_it_cannot_work_for_a_run(crew: Crew, change: dict[str, object], said: str) -> None:
    obstacle = find_obstacle(replace(crew, **change))  # type: ignore[arg-type]
    assert said in obstacle
    assert bool(said) == bool(obstacle)


def test_a_worker_that_comes_later_looks_too(crew: Crew, tmp_path: Path) -> None:
    this = assignment(crew, tmp_path, copy("a", "b"))
    returned = do_errand(Errand.of(replace(crew, run_id="no such run"), NO_LINE, this))
    assert isinstance(returned.result, UnfitWorker)
    assert "does not see the store" in str(returned.result)


def test_a_worker_without_the_credentials_of_the_store_says_so(crew: Crew, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    remote = replace(crew, root=Root.at(f"s3://{bucket}/store"))
    assert find_obstacle(remote).startswith("does not see the store s3://")
    remote.root.write(b"{}", "runs", crew.run_id, "alive.json")
    assert find_obstacle(remote) == ""
    assert find_obstacle(replace(crew, root=Root.at("s3://bucket-that-nobody-made/store"))) != ""


def test_credentials_that_were_handed_over_for_the_store_go_with_the_work(
    crew: Crew, bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = replace(crew, root=Root.at(f"s3://{bucket}/store"))
    remote.root.write(b"{}", "runs", crew.run_id, "alive.json")
    for name in s3_server.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    s3fs.S3FileSystem.clear_instance_cache()
    handed = {"key": "mine", "secret": "planted", "endpoint_url": s3_server.url, "client_kwargs": {"region_name": "us-east-1"}}
    able = replace(remote, root=Root.at(remote.root.uri), access=handed)
    assert find_obstacle(able) == ""
    assert "planted" not in repr(able)
