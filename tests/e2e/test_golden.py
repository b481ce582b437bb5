"""Each golden case through the whole stack: the rows are those of sdg_hub 0.1.4, in order, whatever the shard size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sdg_prefect import FlowError, generate
from sdg_prefect.errors import RejectedRows
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


def _run(case: Path, storage: Path, shard_size: int | None) -> list[Any]:
    settings = SimulatorSettings(replies=case / "replies.jsonl")
    seeds = case / "seeds.jsonl"
    with SimulatedModel(settings) as server:
        try:
            made = generate(case / "flow.yaml", str(seeds), api_base=server.url, storage=storage, shard_size=shard_size)
        except RejectedRows as error:
            made = error.dataset
    rows: list[Any] = made.to_list()
    return rows


@pytest.mark.parametrize("name", CASES)
def test_a_golden_case_gives_the_rows_of_the_oracle_for_any_shard_size(name: str, tmp_path: Path) -> None:
    case = GOLDEN / name
    if name in REFUSED:
        with pytest.raises(FlowError, match=REFUSED[name]):
            _run(case, tmp_path / "store", None)
        return
    expected = _read(case / "rows.jsonl")
    sizes = (None, 1) if name.startswith("chain_") else (2,)
    for shard_size in sizes:
        assert _run(case, tmp_path / f"store-{shard_size}", shard_size) == expected
