"""Runs whose blocks are at work on Ray's workers: the same rows, and nothing paid twice when a worker dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.errors import BudgetReached, SdgError
from tests.e2e.commands import wait_for
from tests.e2e.test_dask import FLOW, answered, undisturbed
from tests.ports import free_port

if TYPE_CHECKING:
    from sdg_prefect.simulator import SimulatedModel
    from tests.e2e.conftest import Project

pytest.importorskip("prefect_ray", reason="the extra 'ray' is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(600)]

MORTAL = '''\
import os
from pathlib import Path
from sdg_prefect import Block, block

@block("ShoutOnWorkers")
class ShoutOnWorkers(Block):
    """Write a column in capitals; the first worker that comes here dies of it."""

    column: str

    def run(self, rows, context):
        died = Path(os.environ["SDG_TEST_DIED"])
        if os.environ["SDG_TEST_RUN"] != str(os.getpid()) and not died.exists():
            died.write_text("once")
            os.kill(os.getpid(), 9)
        return rows.map(lambda row: {self.column: row[self.column].upper()})
'''


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """Have a cluster of Ray with a token, as ``ray start`` makes one on another machine; give the address of its client server."""
    port = free_port()
    ports = ("--port", str(free_port()), "--ray-client-server-port", str(port))
    words = ("start", "--head", "--block", *ports, "--num-cpus", "2", "--include-dashboard", "false", "--temp-dir", str(folder))
    command = [sys.executable, "-u", "-c", "from ray.scripts.scripts import main; main()", *words]
    with (folder / "ray.log").open("wb") as log:
        head = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        said = (folder / "ray.log").read_text
        wait_for(lambda: "Ray runtime started" in said("utf-8") or head.poll() is not None, "the start of Ray")
        assert head.poll() is None, said("utf-8")
        yield f"ray://127.0.0.1:{port}"
    finally:
        os.killpg(head.pid, signal.SIGTERM)
        head.wait(60)


@pytest.fixture(params=["workers of the run", "a cluster"])
def runner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """What ``--runner`` says; the first worker dies."""
    monkeypatch.setenv("SDG_TEST_DIED", str(tmp_path / "died"))
    monkeypatch.setenv("SDG_TEST_RUN", str(os.getpid()))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if request.param == "workers of the run":
        yield "ray=2"
        return
    # The socket of a process has a long name in there, and a short one is all that the system takes.
    with TemporaryDirectory(prefix="ray-") as folder, cluster(Path(folder)) as address:
        yield f"ray={address}"


def test_on_ray_the_rows_are_the_same_within_limits_and_a_killed_worker_costs_nothing(
    project: Project, model: SimulatedModel, runner: str
) -> None:
    project.write("flow.yaml", FLOW)
    load_own_blocks([str(project.write("shout_blocks.py", MORTAL))])
    documents, output = project.documents(24), project.folder / "out.jsonl"
    expected = undisturbed(project, documents)
    model.change(latency=0.1)
    options = {"runner": runner, "shard_size": 4, "concurrency": 5, "output": str(output)}
    with pytest.raises(BudgetReached):
        project.generate(documents, model.url, budget_tokens=1500, **options)
    project.generate(documents, model.url, budget_tokens=10**6, **options)
    assert Path(os.environ["SDG_TEST_DIED"]).exists()
    assert output.read_bytes() == expected
    assert answered(model) == 24 + len(expected.splitlines())
    assert model.stats()["peak_in_flight"] == 5


@pytest.mark.parametrize("address", ["auto", "a free port"])
def test_a_cluster_that_is_not_there_is_told_before_the_first_call(project: Project, model: SimulatedModel, address: str) -> None:
    place = address if address == "auto" else f"ray://127.0.0.1:{free_port()}"
    with pytest.raises(SdgError, match=r"^the Ray cluster .* is not there, or does not let us in: .*[^.]\. Start one"):
        project.generate(project.documents(2), model.url, runner=f"ray={place}")
    assert model.stats()["calls"] == 0
