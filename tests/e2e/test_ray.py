"""Runs whose blocks are at work on Ray's workers: the same rows, and nothing paid twice when a worker dies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sdg_prefect.cli.own_blocks import load_own_blocks
from sdg_prefect.errors import BudgetReached
from tests.e2e.test_dask import FLOW, answered, undisturbed

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
        died = Path(os.environ.get("SDG_TEST_DIED", ""))
        if died.parent != died and not died.exists():
            died.write_text("once")
            os.kill(os.getpid(), 9)
        return rows.map(lambda row: {self.column: row[self.column].upper()})
'''


def test_on_ray_the_rows_are_the_same_within_limits_and_a_killed_worker_costs_nothing(
    project: Project, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("flow.yaml", FLOW)
    load_own_blocks([str(project.write("shout_blocks.py", MORTAL))])
    documents, output, died = project.documents(24), project.folder / "out.jsonl", project.folder / "died"
    expected = undisturbed(project, documents)
    monkeypatch.setenv("SDG_TEST_DIED", str(died))
    model.change(latency=0.1)
    options = {"runner": "ray=2", "shard_size": 4, "concurrency": 5, "output": str(output)}
    with pytest.raises(BudgetReached):
        project.generate(documents, model.url, budget_tokens=1500, **options)
    project.generate(documents, model.url, budget_tokens=10**6, **options)
    assert died.exists()
    assert output.read_bytes() == expected
    assert answered(model) == 24 + len(expected.splitlines())
    assert model.stats()["peak_in_flight"] == 5
