"""Every flow and every example that is shipped runs on the simulated model, from its own seeds to rows."""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sdg_prefect import generate
from sdg_prefect.engine.guess import Guess
from sdg_prefect.engine.looking import look_ahead
from sdg_prefect.engine.options import RunOptions
from sdg_prefect.engine.preparing import prepare
from sdg_prefect.settings import settings
from sdg_prefect.simulator import SimulatedModel
from tests.s3 import another_client

if TYPE_CHECKING:
    from datasets import Dataset

    from tests.e2e.conftest import Project

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
NEED_MORE = {"custom_block", "plugin", "s3"}
"""Examples that need more than a flow and seeds."""
FOLDERS = sorted(path.parent for kind in ("flows", "examples") for path in (ROOT / kind).glob("*/flow.yaml"))
SHIPPED = [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in FOLDERS if folder.name not in NEED_MORE]


def calls_left(folder: Path, seeds: str, store: Path) -> Guess:
    """Return what a plan says of the calls of a run."""
    asked = RunOptions(flow=folder / "flow.yaml", input=seeds, storage=str(store))
    return look_ahead(prepare(asked).plan, asked).calls


def calls_made(store: Path) -> int:
    """Return the calls of the newest run."""
    report = max((store / "runs").glob("*/report.json"), key=lambda path: path.stat().st_mtime)
    return int(json.loads(report.read_text("utf-8"))["llm_calls"])


@pytest.mark.parametrize("folder", SHIPPED)
def test_what_is_shipped_runs_from_its_seeds_to_rows_with_as_many_calls_as_plan_says(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    seeds = str(folder / "seeds.jsonl")
    told = calls_left(folder, seeds, tmp_path / "store")
    made = generate(folder / "flow.yaml", str(folder / "seeds.jsonl"), storage=tmp_path / "store", output=str(target))
    assert made.num_rows > 0
    assert len(target.read_text("utf-8").splitlines()) == made.num_rows
    assert told.low <= calls_made(tmp_path / "store") <= (told.high or inf)
    assert calls_left(folder, seeds, tmp_path / "store") == Guess.exactly(0)
    spec = yaml.safe_load((folder / "flow.yaml").read_text("utf-8"))
    if isinstance(spec, dict) and "output_columns" in spec:
        assert made.column_names == spec["output_columns"]


@pytest.mark.parametrize("name", ["evol_instruct", "self_instruct", "preferences"])
def test_after_a_run_plan_gives_a_range_of_calls_where_rows_are_repeated_multiplied_parted_or_listed(
    name: str, tmp_path: Path
) -> None:
    folder, store = ROOT / "flows" / name, tmp_path / "store"
    lines = (folder / "seeds.jsonl").read_text("utf-8").splitlines()
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text("\n".join(lines[:3]), "utf-8")
    second.write_text("\n".join(lines[3:6]), "utf-8")
    told = calls_left(folder, str(first), store)
    assert told.high is None or told.high > told.low  # nobody knows what replies will hold
    generate(folder / "flow.yaml", str(first), storage=store)
    told = calls_left(folder, str(second), store)
    generate(folder / "flow.yaml", str(second), storage=store)
    made = calls_made(store)
    assert told.high is not None
    assert told.low <= made <= told.high
    assert told.likely == pytest.approx(made, rel=0.5)


def test_the_blocks_of_the_custom_example_run(project: Project) -> None:
    example = ROOT / "examples" / "custom_block"
    project.seeds([])
    words = ("--input", str(example / "seeds.jsonl"), "--output", "out.jsonl", "--blocks", str(example / "blocks.py"))
    ran = project.command("run", str(example / "flow.yaml"), *words, "--json").wait()
    assert ran.code == 0, ran.stderr
    rows = project.output()
    assert len(rows) == ran.report["rows_out"] > 0
    for row in rows:
        assert row["headline_words"] == len(row["headline"].split()) >= 2
        assert row["text"].startswith(row["opening"])


def test_each_model_of_the_example_is_called_where_its_file_says(
    tmp_path: Path, model: SimulatedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    folder = ROOT / "examples" / "several_models"
    with SimulatedModel() as other:
        models = tmp_path / "models.yaml"
        models.write_text(
            f"writer: {{model: large, api_base: '{model.url}'}}\njudge: {{model: small, api_base: '{other.url}'}}\n", "utf-8"
        )
        made = generate(folder / "flow.yaml", str(folder / "seeds.jsonl"), storage=tmp_path / "store", models=models)
        assert made.num_rows > 0
        assert set(model.stats()["by_model"]) == {"large"}
        assert set(other.stats()["by_model"]) == {"small"}


def test_the_example_of_s3_runs_with_seeds_rows_and_store_on_s3(bucket: str, model: SimulatedModel) -> None:
    settings.cache_clear()
    folder = ROOT / "examples" / "s3"
    client = another_client()
    bucket = f"s3://{bucket}"
    client.put(str(folder / "seeds.jsonl"), f"{bucket}/seeds.jsonl")

    def run() -> Dataset:
        return generate(
            folder / "flow.yaml",
            f"{bucket}/seeds.jsonl",
            output=f"{bucket}/described.jsonl",
            storage=f"{bucket}/sdg",
            api_base=model.url,
            shard_size=4,
        )

    first = run()
    paid = model.stats()["calls"]
    content = client.cat_file(f"{bucket}/described.jsonl")
    assert len(content.splitlines()) == first.num_rows == paid > 0
    assert {"checkpoints", "ledger", "runs"} <= {path.rsplit("/", 1)[-1] for path in client.ls(f"{bucket}/sdg", detail=False)}
    assert run().to_list() == first.to_list()
    assert model.stats()["calls"] == paid
    assert client.cat_file(f"{bucket}/described.jsonl") == content
    reports = [json.loads(client.cat_file(path)) for path in client.find(f"{bucket}/sdg/runs") if path.endswith("report.json")]
    assert [report["blocks"][0]["shards_replayed"] for report in reports] == [0, reports[0]["blocks"][0]["shards"]]
    for path in client.find(f"{bucket}/sdg/checkpoints"):
        if not path.endswith("result.json"):
            client.rm_file(path)
    assert run().to_list() == first.to_list()
    assert model.stats()["calls"] == paid
