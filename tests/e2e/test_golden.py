"""Golden cases: the rows are those of sdg_hub 0.1.4, in order, in a preview and on Prefect, whatever the shard size."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect import FlowError, generate
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.engine.previewing import preview
from sdg_prefect.engine.start import read_seeds_of
from sdg_prefect.errors import RejectedRows
from sdg_prefect.rows import without_ids
from sdg_prefect.simulator import SimulatedModel, SimulatorSettings

GOLDEN = Path(__file__).parent.parent / "golden"
CASES = sorted(path.name for path in GOLDEN.iterdir() if (path / "flow.yaml").is_file())

REFUSED = {
    "custom_fewer_groups_than_columns": "no reply could ever give a row",
    "custom_single_group_of_two_columns": "no reply could ever give a row",
    "keys_that_do_nothing": "unknown field 'unknown_key'",
    "prompt_missing_variable": "reads the column",
    "prompt_part_of_a_missing_variable": "reads the column",
}
"""Flows that upstream runs to no use, and that a check stops here."""

pytestmark = pytest.mark.e2e


def _read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def _block_types(case: Path) -> set[str]:
    return set(re.findall(r"block_type: *([A-Za-z]+)", (case / "flow.yaml").read_text("utf-8")))


def _one_of_each_block() -> list[str]:
    """Choose cases until every block is in one; those with several blocks come first."""
    chosen, seen = [], set[str]()
    for name in sorted(CASES, key=lambda name: (-len(_block_types(GOLDEN / name)), name)):
        if name not in REFUSED and not name.startswith("chain_") and not _block_types(GOLDEN / name) <= seen:
            chosen.append(name)
            seen |= _block_types(GOLDEN / name)
    return chosen


def _preview(case: Path, storage: Path) -> list[Any]:
    """Take the seeds through the flow without Prefect."""
    with SimulatedModel(SimulatorSettings(replies=case / "replies.jsonl")) as server:
        seeds = str(case / "seeds.jsonl")
        options = RunOptions(flow=case / "flow.yaml", input=seeds, api_base=server.url, storage=str(storage))
        prepared = prepare(options)
        made = preview(prepared.plan, options, read_seeds_of(options, prepared.spec), "20260101-000000-aaaaaa")
    rows: list[Any] = without_ids(made.table).to_pylist()
    return rows


def _run(case: Path, storage: Path, shard_size: int | None) -> list[Any]:
    """Run the flow on Prefect."""
    with SimulatedModel(SimulatorSettings(replies=case / "replies.jsonl")) as server:
        seeds = str(case / "seeds.jsonl")
        try:
            made = generate(case / "flow.yaml", seeds, api_base=server.url, storage=storage, shard_size=shard_size)
        except RejectedRows as error:
            made = error.dataset
    rows: list[Any] = made.to_list()
    return rows


@pytest.mark.parametrize("name", CASES)
def test_a_golden_case_gives_the_rows_of_the_oracle(name: str, tmp_path: Path) -> None:
    case = GOLDEN / name
    if name in REFUSED:
        with pytest.raises(FlowError, match=REFUSED[name]):
            _preview(case, tmp_path / "store")
        return
    assert _preview(case, tmp_path / "store") == _read(case / "rows.jsonl")


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("chain_")])
@pytest.mark.parametrize("shard_size", [2, *(pytest.param(size, marks=pytest.mark.long) for size in (None, 1))])
def test_a_golden_flow_gives_the_rows_of_the_oracle_for_any_shard_size(name: str, shard_size: int | None, tmp_path: Path) -> None:
    assert _run(GOLDEN / name, tmp_path / "store", shard_size) == _read(GOLDEN / name / "rows.jsonl")


@pytest.mark.parametrize("name", _one_of_each_block())
def test_each_block_gives_the_rows_of_the_oracle_from_several_shards(name: str, tmp_path: Path) -> None:
    assert _run(GOLDEN / name, tmp_path / "store", 2) == _read(GOLDEN / name / "rows.jsonl")
