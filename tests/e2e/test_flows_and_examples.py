"""Every flow and every example that is shipped runs on the simulated model, from its own seeds to rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from sdg_prefect import generate
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


@pytest.mark.parametrize("folder", SHIPPED)
def test_what_is_shipped_runs_from_its_seeds_to_rows(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    made = generate(folder / "flow.yaml", str(folder / "seeds.jsonl"), storage=tmp_path / "store", output=str(target))
    assert made.num_rows > 0
    assert len(target.read_text("utf-8").splitlines()) == made.num_rows
    spec = yaml.safe_load((folder / "flow.yaml").read_text("utf-8"))
    if isinstance(spec, dict) and "output_columns" in spec:
        assert made.column_names == spec["output_columns"]


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
