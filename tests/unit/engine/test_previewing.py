"""A preview accounts for every row, as a run does."""

from __future__ import annotations

from pathlib import Path

from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.previewing import preview
from sdg_prefect.engine.start import read_seeds_of
from tests.flows import copy

FLOW = f"""\
- block_type: BranchBlock
  block_config:
    block_name: route
    rest: filter
    branches:
    - when: 6 // a > 2
      blocks:
      {copy("a", "b").strip().replace(chr(10), chr(10) + "      ")}
"""


def test_rows_that_no_branch_takes_are_shown_and_counted(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text(FLOW)
    seeds = [{"a": 1}, {"a": 9}, {"a": 0}, {"a": 2}, {"a": 3}]
    options = RunOptions(flow=tmp_path / "flow.yaml", input=seeds, storage=str(tmp_path / "store"))
    prepared = prepare(options)
    made = preview(prepared.plan, options, read_seeds_of(options, prepared.spec), "20260101-000000-aaaaaa")
    assert (made.table.num_rows, made.counts.filtered, made.counts.rejected) == (2, 2, 1)
    assert [(step.before.num_rows, step.after.num_rows) for step in made.steps] == [(5, 2), (2, 2)]
